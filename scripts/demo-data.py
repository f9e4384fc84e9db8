#!/usr/bin/env python3
"""Cuts the demo's data out of the npm package vega-datasets 3.2.1.

    npm pack vega-datasets@3.2.1 && tar xzf vega-datasets-3.2.1.tgz
    scripts/demo-data.py package/data crates/cli/data

airports.csv is copied as it is; of earthquakes.json (GeoJSON) each event becomes one JSON line.
"""
import json
import pathlib
import shutil
import sys


def main():
    source, target = (pathlib.Path(argument) for argument in sys.argv[1:3])
    shutil.copyfile(source / "airports.csv", target / "airports.csv")
    features = json.loads((source / "earthquakes.json").read_text())["features"]
    with open(target / "earthquakes.jsonl", "w", encoding="utf-8") as lines:
        for feature in sorted(features, key=lambda feature: feature["id"]):
            longitude, latitude, depth = feature["geometry"]["coordinates"]
            properties = feature["properties"]
            event = {
                "id": feature["id"],
                "place": properties["place"],
                "mag": properties["mag"],
                "time": properties["time"],
                "longitude": longitude,
                "latitude": latitude,
                "depth": depth,
            }
            lines.write(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
