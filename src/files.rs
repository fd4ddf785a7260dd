//! Files of lines, plain or compressed, as the command line names them: `-` is standard input or output.
//!
//! It neither parses what it reads nor decides where anything goes.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Cursor, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

/// The longest line read, in bytes. A longer one is an error: no record comes near it, and memory stays bounded.
pub const LINE_BYTES_MAX: usize = 16 << 20;

/// Room of each reading and writing buffer, in bytes.
const BUFFER_BYTES: usize = 128 << 10;

/// A file open for reading, unpacked on the way.
pub struct Input {
    reader: Box<dyn BufRead + Send>,
    bytes_read: Arc<AtomicU64>,
    bytes_total: Option<u64>,
}

/// Opens `path` for reading. Gzip and Zstandard are told by their first bytes, whatever the name.
///
/// # Errors
///
/// When the file cannot be opened or its first bytes cannot be read.
pub fn open(path: &Path) -> io::Result<Input> {
    if path == Path::new("-") {
        return Input::new(Box::new(io::stdin()), None);
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    Input::new(Box::new(file), metadata.is_file().then_some(metadata.len()))
}

impl Input {
    fn new(source: Box<dyn Read + Send>, bytes_total: Option<u64>) -> io::Result<Self> {
        let bytes_read = Arc::new(AtomicU64::new(0));
        let source = Counted { source, bytes_read: Arc::clone(&bytes_read) };
        Ok(Self { reader: unpacked(source)?, bytes_read, bytes_total })
    }

    /// Bytes taken from the file so far, packed if it is packed: what a progress bar sets against [`Self::bytes_total`].
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Size of the file in bytes; `None` for a pipe.
    pub const fn bytes_total(&self) -> Option<u64> {
        self.bytes_total
    }

    /// Puts the next line into `line`, without its line end; `false` at the end of the file.
    ///
    /// # Errors
    ///
    /// When reading or unpacking fails, or the line is longer than [`LINE_BYTES_MAX`].
    pub fn next_line(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        line.clear();
        let room = LINE_BYTES_MAX as u64 + 1;
        let length = self.reader.by_ref().take(room).read_until(b'\n', line)?;
        if line.last() == Some(&b'\n') {
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
        } else if length > LINE_BYTES_MAX {
            let reason = format!("a line is longer than {LINE_BYTES_MAX} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        Ok(length > 0)
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.reader.consume(amount);
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (read, total) = (self.bytes_read(), self.bytes_total);
        f.debug_struct("Input").field("bytes_read", &read).field("bytes_total", &total).finish()
    }
}

fn unpacked(mut source: impl Read + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    let mut magic = Vec::with_capacity(4);
    source.by_ref().take(4).read_to_end(&mut magic)?;
    let packing = packing(&magic);
    let reader = BufReader::with_capacity(BUFFER_BYTES, Cursor::new(magic).chain(source));
    Ok(match packing {
        Packing::Plain => Box::new(reader),
        Packing::Gzip => {
            Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(reader)))
        }
        Packing::Zstd => {
            let decoder = zstd::Decoder::with_buffer(reader)?;
            Box::new(BufReader::with_capacity(BUFFER_BYTES, decoder))
        }
    })
}

#[derive(Clone, Copy)]
enum Packing {
    Plain,
    Gzip,
    Zstd,
}

const fn packing(magic: &[u8]) -> Packing {
    match magic {
        [0x1f, 0x8b, ..] => Packing::Gzip,
        // A frame, or a skippable one, which parallel compressors write first.
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Packing::Zstd,
        _ => Packing::Plain,
    }
}

/// Counts what is taken from the file itself.
struct Counted {
    source: Box<dyn Read + Send>,
    bytes_read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.source.read(buffer)?;
        self.bytes_read.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}

/// A file open for writing, packed on the way. It is whole only after [`Output::finish`].
pub struct Output {
    sink: Sink,
}

type Buffered = BufWriter<Box<dyn Write + Send>>;

enum Sink {
    Plain(Buffered),
    Gzip(GzEncoder<Buffered>),
    Zstd(zstd::Encoder<'static, Buffered>),
}

/// Creates `path`, or empties it: packed if it ends in `.gz` or `.zst`. Equal content gives equal bytes.
///
/// # Errors
///
/// When the file cannot be created.
pub fn create(path: &Path) -> io::Result<Output> {
    let target: Box<dyn Write + Send> =
        if path == Path::new("-") { Box::new(io::stdout()) } else { Box::new(File::create(path)?) };
    let target = BufWriter::with_capacity(BUFFER_BYTES, target);
    let extension = path.extension().and_then(|extension| extension.to_str());
    let sink = match extension {
        Some("gz") => Sink::Gzip(GzEncoder::new(target, flate2::Compression::default())),
        Some("zst") => Sink::Zstd(zstd::Encoder::new(target, zstd::DEFAULT_COMPRESSION_LEVEL)?),
        _ => Sink::Plain(target),
    };
    Ok(Output { sink })
}

impl Output {
    /// Writes what is buffered and the packing's trailer.
    ///
    /// # Errors
    ///
    /// When writing fails; the file is then not whole.
    pub fn finish(self) -> io::Result<()> {
        let mut target = match self.sink {
            Sink::Plain(target) => target,
            Sink::Gzip(encoder) => encoder.finish()?,
            Sink::Zstd(encoder) => encoder.finish()?,
        };
        target.flush()
    }

    fn sink(&mut self) -> &mut dyn Write {
        match &mut self.sink {
            Sink::Plain(target) => target,
            Sink::Gzip(encoder) => encoder,
            Sink::Zstd(encoder) => encoder,
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink().flush()
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &mut Input) -> Vec<String> {
        let (mut lines, mut line) = (Vec::new(), Vec::new());
        while input.next_line(&mut line).unwrap() {
            lines.push(String::from_utf8(line.clone()).unwrap());
        }
        lines
    }

    #[test]
    fn what_is_written_is_read_back_whatever_the_packing_or_the_name() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.ndjson", "a.ndjson.gz", "a.ndjson.zst"] {
            let path = folder.path().join(name);
            let mut output = create(&path).unwrap();
            output.write_all(b"one\r\n\ntwo\nthree").unwrap();
            output.finish().unwrap();

            let renamed = folder.path().join("renamed");
            std::fs::rename(&path, &renamed).unwrap();
            let mut input = open(&renamed).unwrap();
            assert_eq!(lines(&mut input), ["one", "", "two", "three"], "{name}");
            assert_eq!(Some(input.bytes_read()), input.bytes_total(), "{name}");
        }
    }

    #[test]
    fn gzip_members_and_zstd_frames_may_follow_one_another() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.gz", "a.zst"] {
            let path = folder.path().join(name);
            let mut output = create(&path).unwrap();
            output.write_all(b"one\n").unwrap();
            output.finish().unwrap();
            let once = std::fs::read(&path).unwrap();
            std::fs::write(&path, [once.clone(), once].concat()).unwrap();
            assert_eq!(lines(&mut open(&path).unwrap()), ["one", "one"], "{name}");
        }
    }

    #[test]
    fn an_empty_file_has_no_lines() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(lines(&mut open(file.path()).unwrap()).is_empty());
    }

    #[test]
    fn a_cut_gzip_is_an_error_not_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gz");
        let mut output = create(&path).unwrap();
        output.write_all(&b"some line\n".repeat(1000)).unwrap();
        output.finish().unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let (mut input, mut line) = (open(&path).unwrap(), Vec::new());
        let end =
            std::iter::repeat_with(|| input.next_line(&mut line)).find(|r| !matches!(r, Ok(true)));
        assert!(matches!(end, Some(Err(_))), "{end:?}");
    }

    #[test]
    fn a_line_beyond_the_limit_is_refused() {
        let line = io::repeat(b'x').take(LINE_BYTES_MAX as u64 + 1);
        let mut input = Input::new(Box::new(line), None).unwrap();
        assert!(input.next_line(&mut Vec::new()).is_err());
        let line = io::repeat(b'x').take(LINE_BYTES_MAX as u64).chain(&b"\nnext"[..]);
        let mut input = Input::new(Box::new(line), None).unwrap();
        assert_eq!(
            lines(&mut input).iter().map(String::len).collect::<Vec<_>>(),
            [LINE_BYTES_MAX, 4]
        );
    }
}
