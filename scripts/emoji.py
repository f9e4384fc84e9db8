#!/usr/bin/env python3
"""Writes crates/keys/src/emoji/table.rs, the 256 emojis of the check code.

    scripts/emoji.py                     write the table
    scripts/emoji.py --check             fail if the committed table is not what this script writes

    --test PATH    emoji-test.txt        default: /usr/share/unicode/emoji/emoji-test.txt
    --data PATH    emoji-data.txt        default: /usr/share/unicode/emoji/emoji-data.txt

Both files must be version 15.0 of the Unicode emoji data (Debian bookworm's package `unicode-data`).
A later version may carry other characters; the table is part of the protocol and must not change.

How an emoji gets in:

1. It is *eligible*: one code point, shown as a picture by default (Emoji_Presentation), in Unicode
   Emoji 5.0 (2017) or older, and not in a group of OUT_GROUPS.
2. KEPT names it and gives it a word; or a line of KEPT lists it after `~` as a look-alike of the
   one that is kept; or OUT says why it is not in. Every eligible emoji must be in exactly one place:
   forgetting one, or listing one twice, stops the script.
3. The words are lowercase a-z, three letters or more, unique in their first four letters; no word
   begins another and no two are one letter apart, because they are read aloud over bad lines.

The order of the table is that of the code points.
"""

import argparse
import hashlib
import pathlib
import re
import sys

VERSION = "15.0"
NEWEST = 5.0
COUNT = 256
TABLE = pathlib.Path(__file__).resolve().parent.parent / "crates/keys/src/emoji/table.rs"
UNICODE = "/usr/share/unicode/emoji/"

# Group or group/subgroup of emoji-test.txt -> why nothing of it is used.
OUT_GROUPS = {
    "Smileys & Emotion": "faces, hearts, and marks that nobody would call by one word",
    "People & Body": "people and parts of them",
    "Flags": "flags",
    "Symbols": "arrows, keycaps, zodiac, signs, coloured shapes",
    "Travel & Places/time": "clocks",
    "Travel & Places/place-religious": "nobody should have to read out a faith",
}

# symbol word [~ look-alikes that it stands for, # why they look alike]
KEPT = """
🐵 monkey ~ 🐒 # head and body of one animal
🦍 gorilla
🐶 dog ~ 🐕 🐩 # head and body; breeds
🐺 wolf
🦊 fox
🐱 cat ~ 🐈 # head and body
🦁 lion
🐯 tiger ~ 🐅 🐆 # big cats
🐴 horse ~ 🐎 🎠 # head, body and carousel horse
🦄 unicorn
🦓 zebra
🦌 deer
🐮 cow ~ 🐄 🐂 🐃 # cattle
🐷 pig ~ 🐖 🐽 🐗 # head, body, snout; boar
🐏 ram ~ 🐑 🐐 # sheep and goats
🦒 giraffe
🐘 elephant
🦏 rhino
🐭 mouse ~ 🐁 🐀 🐹 # rodents
🐰 rabbit ~ 🐇 # head and body
🦔 hedgehog
🐨 koala ~ 🐻 # round ears
🐼 panda
🐾 paws
🦃 turkey
🐓 rooster ~ 🐔 # head and body
🐣 chick ~ 🐤 🐥 # yellow chicks
🐧 penguin
🦅 eagle
🦆 duck
🦉 owl
🐸 frog
🐊 crocodile
🐢 turtle
🦎 lizard
🐍 snake
🐉 dragon ~ 🐲 # head and body
🦕 dinosaur ~ 🦖 # both are a dinosaur
🐳 whale ~ 🐋 # whales
🐬 dolphin
🐠 fish ~ 🐟 🐡 # a fish from the side
🦈 shark
🐙 octopus
🐚 shell
🐌 snail
🦋 butterfly
🐜 ant
🐝 bee
🐞 ladybug
🦗 cricket
🦂 scorpion
🌸 blossom ~ 💮 🌼 🌺 💐 # open flowers
🌹 rose ~ 🥀 # fresh and wilted
🌻 sunflower
🌷 tulip
🌱 sprout ~ 🌿 🍃 # green leaves
🌳 tree ~ 🌲 🎄 # trees with a crown
🌴 palm
🌵 cactus
🌾 wheat
🍀 clover
🍁 maple ~ 🍂 # autumn leaves
🍄 mushroom
🍇 grape
🍉 watermelon ~ 🍈 # melons
🍊 orange
🍋 lemon
🍌 banana
🍍 pineapple
🍎 apple ~ 🍏 # red and green
🍐 pear
🍒 cherry
🍓 strawberry
🥝 kiwi
🍅 tomato
🥥 coconut
🥑 avocado
🥔 potato ~ 🍠 # tubers
🥕 carrot
🌽 corn
🥒 cucumber
🥦 broccoli
🥜 peanut
🍞 bread ~ 🥖 # bread
🥨 pretzel
🥞 pancake
🧀 cheese
🥩 steak ~ 🍖 🍗 # meat
🥓 bacon
🍔 burger
🍟 fries
🍕 pizza
🌭 hotdog
🥪 sandwich
🌮 taco ~ 🌯 🥙 # filled flatbreads
🥚 egg ~ 🍳 # whole and fried
🍜 noodles ~ 🍝 🍚 🍛 🍲 🥘 🥣 # noodles; bowls of food
🥗 salad
🍿 popcorn
🍣 sushi
🦀 crab
🦐 shrimp ~ 🍤 # raw and fried
🦑 squid
🍦 icecream ~ 🍧 🍨 # ices
🍩 donut
🍪 cookie
🎂 cake ~ 🍰 🥧 # cakes
🍫 chocolate
🍬 candy
🍭 lollipop
🍯 honey
🥛 milk
☕ coffee ~ 🍵 # hot drinks
🍾 champagne ~ 🍶 # bottles
🍷 wine ~ 🍸 🍹 🥂 🥃 # stemmed glasses; glasses of spirits
🥤 soda
🍴 fork
🥄 spoon
🏺 vase
🌍 globe ~ 🌎 🌏 🌐 # sides of one globe
🌋 volcano ~ 🗻 # conical mountains
🏠 cottage ~ 🏡 # with and without garden
🏥 hospital ~ 🏢 🏣 🏤 🏦 🏨 🏩 🏪 🏫 🏬 # box-like buildings
🏭 factory
🏰 castle ~ 🏯 # castles
🗼 tower
⛲ fountain
⛺ tent ~ 🎪 # tents
🌅 sunrise ~ 🌄 # sun at the horizon
🌉 bridge ~ 🌁 🌃 🌆 🌇 🌌 # towns and skies at dusk
🎢 coaster
💈 barber
🚂 train ~ 🚃 🚄 🚅 🚆 🚇 🚈 🚉 🚊 🚋 🚝 🚞 🚟 # rail vehicles
🚌 bus ~ 🚍 🚎 🚐 # buses
🚑 ambulance
🚒 firetruck
🚓 police ~ 🚔 # side and front
🚕 taxi ~ 🚖 🚗 🚘 🚙 # cars, side and front
🚚 truck ~ 🚛 # lorries
🚜 tractor
🛵 scooter ~ 🛴 # both are a scooter
🚲 bicycle
⛽ fuel
🚨 siren
🚦 traffic ~ 🚥 # upright and lying
⚓ anchor
⛵ sailboat ~ 🚤 # small boats
🛶 canoe
🚢 ship
🛫 airplane ~ 🛬 # departing and landing
🚁 helicopter
🚀 rocket
🛸 ufo
🌙 moon ~ 🌑 🌒 🌓 🌔 🌕 🌖 🌗 🌘 🌚 🌛 🌜 🌝 # phases of one moon
⭐ star ~ 🌟 🌠 ✨ # stars and sparkles
⛅ cloud
🌈 rainbow
☔ umbrella ~ 🌂 # open and closed
⚡ lightning
⛄ snowman
🔥 flame
💧 droplet
🌊 wave
🎃 pumpkin
🎈 balloon
🎉 party ~ 🎊 # confetti
🎀 ribbon
🎁 gift
🎫 ticket
🏆 trophy
🏅 medal ~ 🥇 🥈 🥉 # medals
⚽ soccer ~ ⚾ 🏀 🏐 🎾 🎱 # round balls
🏉 rugby ~ 🏈 # oval balls
🎳 bowling
🏒 hockey ~ 🏏 🏑 # sticks and balls
🏓 pingpong
🏸 badminton
🥊 boxing
🎿 skis
🛷 sled
🎯 target
🔮 crystal
🎮 gamepad
🎲 dice
🎨 paint
👓 glasses
👕 shirt ~ 🎽 👚 👔 # tops; the tie is often shown on a shirt
👖 jeans
🧣 scarf
🧤 gloves
🧥 jacket
🧦 socks
👗 dress
👘 kimono ~ 🥋 # crossed over the chest
👙 bikini
👜 handbag ~ 👛 👝 # bags
🎒 backpack
👟 shoe ~ 👞 👠 👡 👢 # shoes
👑 crown
🎩 tophat ~ 👒 🎓 🧢 # hats
💄 lipstick
💍 ring
💎 diamond
🔊 speaker ~ 🔇 🔈 🔉 # volumes of one speaker
📣 megaphone ~ 📢 # megaphones
🔔 bell ~ 🔕 # on and off
🎵 music ~ 🎶 🎼 # notes
🎤 microphone
🎧 headphones
📻 radio
🎷 saxophone
🎸 guitar
🎹 piano
🎺 trumpet ~ 📯 # brass
🎻 violin
🥁 drum
📱 phone ~ 📲 # with and without arrow
🔋 battery
🔌 plug
💻 laptop
💾 floppy ~ 💽 # disks
🎥 movie ~ 📹 # film cameras
📺 television
💼 briefcase
📷 camera ~ 📸 # with and without flash
📼 cassette
🔍 magnifier ~ 🔎 # tilted left and right
💡 bulb
🔦 flashlight
🏮 lantern
📖 book ~ 📔 📕 📗 📘 📙 📓 📒 📚 # books
📜 scroll ~ 📃 📄 📑 📋 📝 # sheets
📰 newspaper
💰 treasure
💵 dollar ~ 💴 💶 💷 💸 # banknotes
📨 envelope ~ 📧 📩 # envelopes
📦 parcel
📫 mailbox ~ 📪 📬 📭 📮 # mailboxes
📁 folder ~ 📂 # closed and open
📅 calendar ~ 📆 📇 # calendars and card index
📊 chart ~ 📈 📉 💹 # charts
📌 pushpin ~ 📍 # pins
📎 paperclip
📏 ruler ~ 📐 # rulers
🔒 padlock ~ 🔓 🔏 🔐 # padlocks
🔑 key
🔨 hammer
🔧 wrench
🔗 chain
💉 syringe
💊 pill
🚪 door
🚽 toilet
🚿 shower
🛁 bathtub
🛒 trolley
"""

# symbols # why they are not in
OUT = """
🦇 # "bat" begins battery and bathtub
🐪 🐫 # first four letters as camera
🐦 # the other birds are birds as well
🐛 # "caterpillar" begins with cat; a worm is another animal
🔬 # first four letters as microphone
🔭 # first four letters as television
🎣 # first four letters as fish
🔖 # first four letters as book
🍺 🍻 # "beer" begins with bee and is one letter from deer
🔩 # "bolt" may be the lightning too
📞 # is called a phone as well
🚠 🚡 # a gondola is a boat too
🎡 # no short word known everywhere
🍑 🍆 # have a second meaning; "egg" begins eggplant
🥐 # spelled otherwise than it sounds
🍘 🍙 🍡 🍢 🍥 🍱 🍮 🥟 🥠 🥡 # need knowing the dish
🥫 🍼 🌰 💺 # could be many things
🔪 🔫 💣 🚬 # weapons and harm
🏹 📤 📥 # arrows
⛳ 🎏 # flags
🎎 🎭 🗽 🗿 🌞 🃏 # people and faces
🎴 🀄 🎰 # games that not everybody knows or likes
🗾 # outline of a country
📿 💒 🎋 🎍 🎐 🎑 # customs and faiths
🎆 🎇 🌀 # no clear shape
🚏 🛑 🚧 # signs
🥅 🥢 🥌 🎬 📡 💳 # too little to see, or no everyday word
📟 📠 # few have seen one; "fax" is one letter from fox
💿 📀 # spelled disc and disk
"""


def eligible(test, data):
    """Every emoji that KEPT and OUT have to speak of, in code point order."""
    pictures = set()
    for line in data.splitlines():
        found = re.match(r"([0-9A-F]+)(?:\.\.([0-9A-F]+))?\s*;\s*Emoji_Presentation\s*#", line)
        if found:
            first = int(found[1], 16)
            pictures.update(range(first, int(found[2] or found[1], 16) + 1))
    group = subgroup = ""
    result = set()
    for line in test.splitlines():
        if found := re.match(r"# (sub)?group: (.*)", line):
            if found[1]:
                subgroup = found[2].strip()
            else:
                group = found[2].strip()
        elif found := re.match(r"([0-9A-F]+)\s*;\s*fully-qualified\s*# \S+ E([\d.]+) ", line):
            point = int(found[1], 16)
            outside = group in OUT_GROUPS or f"{group}/{subgroup}" in OUT_GROUPS
            if point in pictures and float(found[2]) <= NEWEST and not outside:
                result.add(chr(point))
    return sorted(result)


def near(a, b):
    """Whether one letter put in, taken out or changed makes a of b."""
    if len(a) > len(b):
        a, b = b, a
    if len(b) - len(a) > 1 or a == b:
        return False
    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), len(a))
    return a[at:] == b[at + 1 :] or a[at + 1 :] == b[at + 1 :]


def choose(candidates):
    """The table as {symbol: word}, or a list of everything that is wrong with KEPT and OUT."""
    words, place, wrong = {}, {}, []

    def put(symbol, where):
        if symbol in place:
            wrong.append(f"{symbol} is both {place[symbol]} and {where}")
        place[symbol] = where

    for line in filter(None, KEPT.splitlines()):
        head, _, reason = line.partition("#")
        entry, _, alike = head.partition("~")
        symbol, word = entry.split()
        put(symbol, "kept")
        words[symbol] = word
        for other in alike.split():
            put(other, f"a look-alike of {symbol}")
        if alike and not reason.strip():
            wrong.append(f"{symbol} has look-alikes without a reason")
    for line in filter(None, OUT.splitlines()):
        for symbol in line.partition("#")[0].split():
            put(symbol, "left out")

    known = set(candidates)
    wrong += [f"{s} U+{ord(s):04X} is nowhere" for s in candidates if s not in place]
    wrong += [f"{s} is not eligible" for s in place if s not in known]
    if len(words) != COUNT:
        wrong.append(f"{len(words)} emojis are kept, must be {COUNT}")
    taken = sorted(words.values())
    wrong += [f"{w} is not three or more of a-z" for w in taken if not re.fullmatch("[a-z]{3,}", w)]
    for i, a in enumerate(taken):
        for b in taken[i + 1 :]:
            if a[:4] == b[:4] or b.startswith(a) or near(a, b):
                wrong.append(f"{a} and {b} are too alike")
    return dict(sorted(words.items())), wrong


def rust(words):
    """The text of table.rs."""
    listing = "".join(f"{ord(s):04X} {w}\n" for s, w in words.items())
    digest = hashlib.sha256(listing.encode()).digest()
    rows = "".join(f'    e("{s}", "{w}"),\n' for s, w in words.items())
    octets = "".join(
        "    " + " ".join(f"0x{byte:02x}," for byte in digest[i : i + 16]) + "\n"
        for i in (0, 16)
    )
    return f"""//! Written by `scripts/emoji.py` from the emoji data of Unicode {VERSION}: edit the script, not this file.

use super::{{Emoji, e}};

/// SHA-256 of the list, one line of `<code point in hex> <word>` and a line feed for every emoji.
pub const EMOJIS_SHA256: [u8; 32] = [
{octets}];

/// The emojis in code point order; a byte of the check code is an index into them.
#[rustfmt::skip]
pub static EMOJIS: [Emoji; {COUNT}] = [
{rows}];
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--test", default=UNICODE + "emoji-test.txt")
    parser.add_argument("--data", default=UNICODE + "emoji-data.txt")
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()

    test = pathlib.Path(asked.test).read_text(encoding="utf-8")
    data = pathlib.Path(asked.data).read_text(encoding="utf-8")
    if f"# Version: {VERSION}\n" not in test or f"Emoji Version {VERSION}" not in data:
        sys.exit(f"emoji-test.txt and emoji-data.txt must be version {VERSION}")
    words, wrong = choose(eligible(test, data))
    if wrong:
        sys.exit("\n".join(wrong))
    text = rust(words)
    if asked.check:
        if not TABLE.exists() or TABLE.read_text(encoding="utf-8") != text:
            sys.exit(f"{TABLE} is not what scripts/emoji.py writes")
        print(f"{TABLE.name}: {len(words)} emojis, as committed")
    else:
        TABLE.parent.mkdir(exist_ok=True)
        TABLE.write_text(text, encoding="utf-8")
        print(f"wrote {len(words)} emojis to {TABLE}")


if __name__ == "__main__":
    main()
