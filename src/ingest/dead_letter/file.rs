//! Dead letters as JSON lines, rotated by size.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::Refusal;
use crate::event::RawRecord;

#[derive(Debug)]
pub(super) struct FileWriter {
    path: PathBuf,
    rotate_bytes: u64,
    keep: u32,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// The end of the last whole line.
    length: u64,
}

/// One line. Bytes are base64, since they need not be text.
#[derive(Serialize)]
struct Line<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp_ms: Option<i64>,
    reason: &'a str,
    error: &'a str,
    key: Option<String>,
    headers: Vec<(&'a str, String)>,
    payload: String,
}

impl FileWriter {
    pub(super) fn open(path: &Path, rotate_bytes: u64, keep: u32) -> io::Result<Self> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let open = Mutex::new(Open::at(path)?);
        Ok(Self { path: path.to_owned(), rotate_bytes, keep, open })
    }

    /// Appends one line, whole or not at all.
    pub(super) fn send(
        &self,
        record: &RawRecord,
        topic: &str,
        refusal: Refusal<'_>,
    ) -> io::Result<()> {
        let line = Line {
            topic,
            partition: record.shard.0,
            offset: record.position.offset.0,
            timestamp_ms: record.timestamp.map(crate::event::EventTime::millis),
            reason: refusal.reason,
            error: refusal.text,
            key: record.key.as_ref().map(|key| STANDARD.encode(key)),
            headers: record
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), STANDARD.encode(value)))
                .collect(),
            payload: STANDARD.encode(&record.payload),
        };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if open.length > 0 && open.length.saturating_add(size) > self.rotate_bytes {
            open.file.sync_data()?;
            self.rotate()?;
            *open = Open::at(&self.path)?;
        }
        if let Err(error) = open.file.write_all(&bytes) {
            // A full disk leaves half a line: take it back, so that the next try begins cleanly.
            let length = open.length;
            open.file.set_len(length)?;
            open.file.seek(SeekFrom::Start(length))?;
            return Err(error);
        }
        open.length += size;
        Ok(())
    }

    pub(super) fn flush(&self) -> io::Result<()> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).file.sync_data()
    }

    /// `NAME` becomes `NAME.1`, that `NAME.2`, and the oldest is overwritten.
    fn rotate(&self) -> io::Result<()> {
        for number in (1..self.keep).rev() {
            let from = self.numbered(number);
            if from.exists() {
                fs::rename(from, self.numbered(number + 1))?;
            }
        }
        fs::rename(&self.path, self.numbered(1))
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }
}

impl Open {
    /// Opens for appending, after the last whole line: a kill may have left half of one.
    fn at(path: &Path) -> io::Result<Self> {
        let mut file =
            File::options().create(true).truncate(false).read(true).write(true).open(path)?;
        let length = whole_lines(&mut file)?;
        file.set_len(length)?;
        file.seek(SeekFrom::Start(length))?;
        Ok(Self { file, length })
    }
}

/// Returns where the last line feed ends, looking backwards.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    const BLOCK: u64 = 64 << 10;
    let mut end = file.metadata()?.len();
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        file.seek(SeekFrom::Start(start))?;
        let mut block = Vec::new();
        Read::take(&mut *file, end - start).read_to_end(&mut block)?;
        if let Some(position) = memchr::memrchr(b'\n', &block) {
            return Ok(start + u64::try_from(position).unwrap_or_default() + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventTime, Offset, Position, ShardId, TopicIndex};

    fn record(payload: &[u8]) -> RawRecord {
        RawRecord {
            shard: ShardId(3),
            position: Position { topic: TopicIndex(0), offset: Offset(41) },
            timestamp: Some(EventTime::from_millis(1_700_000_000_000)),
            key: Some(b"acme".to_vec()),
            headers: vec![("trace".to_owned(), vec![0, 255])],
            payload: payload.to_vec(),
        }
    }

    const REFUSAL: Refusal<'static> = Refusal { reason: "not_json", text: "it is not JSON" };

    #[test]
    fn a_line_holds_the_whole_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dead/letters.ndjson");
        let writer = FileWriter::open(&path, 1 << 20, 2).unwrap();
        writer.send(&record(b"\xff{"), "omnichannel.messages", REFUSAL).unwrap();
        writer.flush().unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            concat!(
                r#"{"topic":"omnichannel.messages","partition":3,"offset":41,"#,
                r#""timestamp_ms":1700000000000,"reason":"not_json","error":"it is not JSON","#,
                r#""key":"YWNtZQ==","headers":[["trace","AP8="]],"payload":"/3s="}"#,
                "\n"
            )
        );
    }

    #[test]
    fn full_files_are_rotated_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letters");
        let writer = FileWriter::open(&path, 300, 2).unwrap();
        for number in 0..5u8 {
            writer.send(&record(&[number; 30]), "t", REFUSAL).unwrap();
        }
        let mut names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["letters", "letters.1", "letters.2"]);
        for name in names {
            assert_eq!(fs::read_to_string(folder.path().join(name)).unwrap().lines().count(), 1);
        }
    }

    #[test]
    fn half_a_line_from_before_a_kill_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letters");
        fs::write(&path, "{\"whole\":1}\n{\"half").unwrap();
        let writer = FileWriter::open(&path, 1 << 20, 2).unwrap();
        writer.send(&record(b"x"), "t", REFUSAL).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    }
}
