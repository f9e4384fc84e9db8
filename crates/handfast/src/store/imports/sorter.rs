//! Rows in the order of their records, with flat memory: sorted in runs as large as memory should
//! be, which are then merged.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read, Seek, Write};
use std::iter;
use std::mem;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use handfast_ledger::{Fields, Mutation, RecordId};

use crate::error::{Error, Result};

/// How many bytes of rows are held in memory.
const RUN: usize = 16 << 20;

/// How much of each run is read at a time while they are merged: less where there are many.
const READ: Range<usize> = 4 << 10..128 << 10;

/// A row of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its record.
    pub id: RecordId,
    /// Where it stands in what is imported.
    pub place: (u64, u64),
    /// Whether a record can be created from it.
    pub can_create: bool,
    /// Its fields, as canonical JSON.
    pub text: String,
}

impl Row {
    /// A row that says this.
    pub fn new(id: RecordId, place: (u64, u64), fields: &Fields) -> Row {
        let can_create = Mutation::can_create(fields).is_ok();
        Row { id, place, can_create, text: fields.to_text() }
    }

    /// What it says.
    pub fn fields(&self) -> Result<Fields> {
        Fields::parse(&self.text).map_err(|_| Error::Damaged("import"))
    }
}

/// A run, from its beginning to its end.
type Rows = Box<dyn Iterator<Item = io::Result<Row>>>;

/// Takes rows in any order.
pub struct Sorter {
    folder: PathBuf,
    run: Run,
    /// Where runs are that didn't fit in memory. The file has no name: it is gone with this process,
    /// however that ends.
    file: Option<Arc<File>>,
    written: Vec<Range<u64>>,
    count: u64,
}

impl Sorter {
    /// One that keeps in a file in this folder what doesn't fit in memory.
    pub fn new(folder: &Path) -> Sorter {
        let (folder, run) = (folder.to_owned(), Run::default());
        Sorter { folder, run, file: None, written: Vec::new(), count: 0 }
    }

    /// Takes a row.
    pub fn push(&mut self, row: &Row) -> Result<()> {
        self.run.push(row);
        self.count += 1;
        if self.run.bytes.len() >= RUN { self.spill() } else { Ok(()) }
    }

    /// How many rows it has taken.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Gives the rows back by record; those of one record as they came.
    pub fn sorted(mut self) -> Result<impl Iterator<Item = Result<Row>>> {
        if self.file.is_some() {
            self.spill()?;
        }
        let folder = self.folder;
        let size = (RUN / self.written.len().max(1)).clamp(READ.start, READ.end);
        let read = |at: Range<u64>, file: &Arc<File>| {
            from_file(BufReader::with_capacity(size, Stretch { file: file.clone(), at }))
        };
        let runs: Vec<Rows> = match &self.file {
            Some(file) => self.written.into_iter().map(|at| read(at, file)).collect(),
            None => vec![self.run.sorted()],
        };
        let merged = Merge::new(runs).map_err(Error::io(&folder))?;
        Ok(merged.map(move |row| row.map_err(Error::io(&folder))))
    }

    /// Writes what is in memory behind what was written before.
    fn spill(&mut self) -> Result<()> {
        let failed = || Error::io(&self.folder);
        let file = match &self.file {
            Some(file) => file,
            None => {
                let file = tempfile::tempfile_in(&self.folder).map_err(failed())?;
                self.file.insert(Arc::new(file))
            }
        };
        let written = mem::take(&mut self.run).write(file).map_err(failed())?;
        self.written.push(written);
        Ok(())
    }
}

/// Rows in memory.
#[derive(Default)]
struct Run {
    bytes: Vec<u8>,
    /// Where in `bytes` each row begins and ends.
    rows: Vec<(RecordId, usize, usize)>,
}

impl Run {
    /// ```text
    /// row  id (16 bytes), place (twice 8), can create (1), length (8), text
    /// ```
    fn push(&mut self, row: &Row) {
        let start = self.bytes.len();
        self.bytes.extend(row.id.as_bytes());
        self.bytes.extend(row.place.0.to_be_bytes());
        self.bytes.extend(row.place.1.to_be_bytes());
        self.bytes.push(row.can_create.into());
        self.bytes.extend((row.text.len() as u64).to_be_bytes());
        self.bytes.extend(row.text.as_bytes());
        self.rows.push((row.id, start, self.bytes.len()));
    }

    fn sorted(mut self) -> Rows {
        self.rows.sort_unstable();
        let row =
            move |(_, start, end)| unpack(&mut self.bytes.get(start..end).unwrap_or_default());
        Box::new(self.rows.into_iter().map(row))
    }

    /// Writes them, sorted, at the end of a file. Returns where.
    fn write(mut self, mut file: &File) -> io::Result<Range<u64>> {
        self.rows.sort_unstable();
        let start = file.stream_position()?;
        let mut writer = BufWriter::with_capacity(READ.end, file);
        for (_, start, end) in self.rows {
            writer.write_all(self.bytes.get(start..end).unwrap_or_default())?;
        }
        writer.flush()?;
        drop(writer);
        Ok(start..file.stream_position()?)
    }
}

fn unpack(from: &mut impl Read) -> io::Result<Row> {
    let id = RecordId::from_bytes(bytes(from)?);
    let place = (u64::from_be_bytes(bytes(from)?), u64::from_be_bytes(bytes(from)?));
    let can_create = bytes(from)? != [0];
    let len = u64::from_be_bytes(bytes(from)?);
    let mut text = String::with_capacity(usize::try_from(len).unwrap_or(0).min(RUN));
    from.take(len).read_to_string(&mut text)?;
    Ok(Row { id, place, can_create, text })
}

fn bytes<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes).map(|()| bytes)
}

fn from_file(mut stretch: BufReader<Stretch>) -> Rows {
    Box::new(iter::from_fn(move || match stretch.fill_buf() {
        Ok([]) => None,
        Ok(_) => Some(unpack(&mut stretch)),
        Err(error) => Some(Err(error)),
    }))
}

/// A part of a file that others read too.
struct Stretch {
    file: Arc<File>,
    at: Range<u64>,
}

impl Read for Stretch {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.at.end - self.at.start).unwrap_or(usize::MAX);
        let size = left.min(buffer.len());
        let read = self.file.read_at(buffer.get_mut(..size).unwrap_or_default(), self.at.start)?;
        if read == 0 && size > 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.at.start += read as u64;
        Ok(read)
    }
}

/// Several runs as one. Of equal records, those of the earlier run come first.
struct Merge {
    runs: Vec<Rows>,
    /// The next row of each run, by its record and the run.
    heads: BTreeMap<(RecordId, usize), Row>,
}

impl Merge {
    fn new(runs: Vec<Rows>) -> io::Result<Merge> {
        let count = runs.len();
        let mut merge = Merge { runs, heads: BTreeMap::new() };
        (0..count).try_for_each(|run| merge.advance(run))?;
        Ok(merge)
    }

    fn advance(&mut self, run: usize) -> io::Result<()> {
        if let Some(row) = self.runs.get_mut(run).and_then(Iterator::next) {
            let row = row?;
            self.heads.insert((row.id, run), row);
        }
        Ok(())
    }
}

impl Iterator for Merge {
    type Item = io::Result<Row>;

    fn next(&mut self) -> Option<io::Result<Row>> {
        let ((_, run), row) = self.heads.pop_first()?;
        Some(self.advance(run).map(|()| row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: u8, place: u64, text: &str) -> Row {
        let fields = Fields::parse(&format!(r#"{{"text":"{text}"}}"#)).unwrap();
        Row::new(RecordId::from_bytes([id; 16]), (place, 1), &fields)
    }

    #[test]
    fn rows_come_back_by_record_and_those_of_one_record_as_they_came() {
        let dir = tempfile::tempdir().unwrap();
        for (rows, len, is_large) in [(10, 0, false), (10, 3, false), (400, 100_000, true)] {
            let text = "x".repeat(len);
            let mut sorter = Sorter::new(dir.path());
            let mut rows: Vec<Row> =
                (0..rows).map(|place| row((place * 7 % 5) as u8, place, &text)).collect();
            // Refused or not, one that says something else keeps its place.
            rows.push(row(2, 400, "other"));
            for row in &rows {
                sorter.push(row).unwrap();
            }
            assert_eq!(sorter.count(), rows.len() as u64);
            assert_eq!(sorter.written.len() > 1, is_large);
            let sorted: Vec<Row> = sorter.sorted().unwrap().map(Result::unwrap).collect();
            rows.sort_by_key(|row| row.id);
            assert!(sorted == rows);
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        }
        assert_eq!(Sorter::new(dir.path()).sorted().unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_lost_its_end_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(dir.path());
        sorter.push(&row(1, 1, "milk")).unwrap();
        sorter.spill().unwrap();
        sorter.file.as_ref().unwrap().set_len(40).unwrap();
        assert!(matches!(sorter.sorted().map(drop), Err(Error::Io { .. })));
    }
}
