//! Files of records, plain or compressed, as the command line names them: `-` is standard input or output.
//!
//! It sets records apart, but neither parses them nor decides where anything goes.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Cursor, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

/// The longest record read, in bytes. A longer one is an error: no event comes near it, and memory stays bounded.
pub const RECORD_BYTES_MAX: usize = 16 << 20;

/// Room of each reading and writing buffer, in bytes.
const BUFFER_BYTES: usize = 128 << 10;

/// How records are set apart in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Text, a record a line.
    Lines,
    /// Protobuf messages, each after its length as a varint.
    Messages,
}

/// A file open for reading, unpacked on the way.
pub struct Input {
    form: Form,
    reader: Box<dyn BufRead + Send>,
    bytes_read: Arc<AtomicU64>,
    bytes_total: Option<u64>,
}

/// Opens `path` for reading. Gzip and Zstandard are told by their first bytes, whatever the name. Messages are told by a name that ends
/// in `.pb` or `.binpb` (before `.gz` or `.zst`); where the name has no ending, as of standard input, by their first bytes, with which
/// neither a JSON object nor a blank line begins.
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
    let mut input = Input::new(Box::new(file), metadata.is_file().then_some(metadata.len()))?;
    input.form = named_form(path).unwrap_or(input.form);
    Ok(input)
}

/// The form that the ending of a file's name says, if it has one beside its packing.
fn named_form(path: &Path) -> Option<Form> {
    let ending = |path: &Path| Some(path.extension()?.to_str()?.to_owned());
    let is_packed = ending(path).is_some_and(|ending| ["gz", "zst"].contains(&ending.as_str()));
    let ending = if is_packed { ending(&path.with_extension("")) } else { ending(path) }?;
    Some(if ["pb", "binpb"].contains(&ending.as_str()) { Form::Messages } else { Form::Lines })
}

/// Tells messages by the first bytes of what they begin: a length, then the key of a field. A length may look like the brace of an
/// object, but no field's key like what follows one in a line.
const fn is_messages(start: &[u8]) -> bool {
    match start {
        [] | [b'{' | b' ' | b'\t' | b'\r' | b'\n'] => false,
        [b'{', next, ..] => !matches!(next, b'"' | b' ' | b'\t' | b'}'),
        [b' ' | b'\t' | b'\r' | b'\n', ..] => false,
        _ => true,
    }
}

impl Input {
    fn new(source: Box<dyn Read + Send>, bytes_total: Option<u64>) -> io::Result<Self> {
        let bytes_read = Arc::new(AtomicU64::new(0));
        let source = Counted { source, bytes_read: Arc::clone(&bytes_read) };
        let mut reader = unpacked(source)?;
        let form = if is_messages(reader.fill_buf()?) { Form::Messages } else { Form::Lines };
        Ok(Self { form, reader, bytes_read, bytes_total })
    }

    /// How its records are set apart.
    pub const fn form(&self) -> Form {
        self.form
    }

    /// Bytes taken from the file so far, packed if it is packed: what a progress bar sets against [`Self::bytes_total`].
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Size of the file in bytes; `None` for a pipe.
    pub const fn bytes_total(&self) -> Option<u64> {
        self.bytes_total
    }

    /// Puts the next record into `record`, a line without its end or a message; `false` at the end of the file.
    ///
    /// # Errors
    ///
    /// When reading or unpacking fails, the record is longer than [`RECORD_BYTES_MAX`], or a message is cut short.
    pub fn next_record(&mut self, record: &mut Vec<u8>) -> io::Result<bool> {
        match self.form {
            Form::Lines => self.next_line(record),
            Form::Messages => self.next_message(record),
        }
    }

    fn next_message(&mut self, message: &mut Vec<u8>) -> io::Result<bool> {
        message.clear();
        let Some(length) = self.length()? else { return Ok(false) };
        if length > RECORD_BYTES_MAX as u64 {
            let reason = format!(
                "no message is {length} bytes long: are these messages with their lengths?"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        if self.reader.by_ref().take(length).read_to_end(message)? as u64 == length {
            Ok(true)
        } else {
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the last message is cut short"))
        }
    }

    /// The length of the next message, a varint; `None` at the end of the file.
    fn length(&mut self) -> io::Result<Option<u64>> {
        let (mut length, mut shift) = (0, 0);
        loop {
            let Some(&byte) = self.reader.fill_buf()?.first() else {
                let is_end = shift == 0;
                return if is_end { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            };
            self.reader.consume(1);
            length |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return Ok(Some(length));
            }
            if shift > 56 {
                return Ok(Some(u64::MAX));
            }
        }
    }

    /// Puts the next line into `line`, without its line end; `false` at the end of the file.
    ///
    /// # Errors
    ///
    /// When reading or unpacking fails, or the line is longer than [`RECORD_BYTES_MAX`].
    pub fn next_line(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        line.clear();
        let room = RECORD_BYTES_MAX as u64 + 1;
        let length = self.reader.by_ref().take(room).read_until(b'\n', line)?;
        if line.last() == Some(&b'\n') {
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
        } else if length > RECORD_BYTES_MAX {
            let reason = format!("a line is longer than {RECORD_BYTES_MAX} bytes");
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

    /// The records of these bytes under this name; what ended them if not the end.
    fn records(name: &str, bytes: &[u8]) -> (Form, Vec<Vec<u8>>, Option<io::ErrorKind>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let mut output = create(&path).unwrap();
        output.write_all(bytes).unwrap();
        output.finish().unwrap();
        let (mut input, mut records, mut record) = (open(&path).unwrap(), Vec::new(), Vec::new());
        loop {
            match input.next_record(&mut record) {
                Ok(true) => records.push(record.clone()),
                Ok(false) => return (input.form(), records, None),
                Err(error) => return (input.form(), records, Some(error.kind())),
            }
        }
    }

    #[test]
    fn messages_are_told_by_their_name_or_without_one_by_how_they_begin() {
        let long = vec![7; 300];
        let bytes = [&b"\x02\x0a\0\0\xac\x02"[..], &long].concat();
        let messages = vec![vec![10, 0], vec![], long];
        for name in ["a", "a.pb", "a.binpb.gz", "a.pb.zst", "a.zst"] {
            assert_eq!(records(name, &bytes), (Form::Messages, messages.clone(), None), "{name}");
        }
        for text in ["{}", "{\"a\":1}", " {}", "{ }", "", "\n{}", "{"] {
            let lines = text.lines().map(|line| line.as_bytes().to_vec()).collect();
            assert_eq!(records("a.gz", text.as_bytes()), (Form::Lines, lines, None), "{text}");
        }
        assert_eq!(records("a.ndjson.gz", b"\x01x").0, Form::Lines);
        let brace = [&b"{\x0a"[..], &[0; 122]].concat();
        assert_eq!(records("a", &brace).0, Form::Messages, "a length of 123");
        assert_eq!(records("a.pb", b"\x09{\"a\":1}\r\n").1, [b"{\"a\":1}\r\n"]);
    }

    #[test]
    fn a_message_that_is_cut_short_or_far_too_long_is_an_error() {
        for (bytes, kind) in [
            (&b"\x01x\x05four"[..], io::ErrorKind::UnexpectedEof),
            (b"\x01x\x80", io::ErrorKind::UnexpectedEof),
            (b"\x01x\x81\x80\x80\x08", io::ErrorKind::InvalidData),
            (b"\x01x\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", io::ErrorKind::InvalidData),
        ] {
            assert_eq!(records("a.pb", bytes), (Form::Messages, vec![b"x".to_vec()], Some(kind)));
        }
    }

    #[test]
    fn a_line_beyond_the_limit_is_refused() {
        let line = io::repeat(b'x').take(RECORD_BYTES_MAX as u64 + 1);
        let mut input = Input::new(Box::new(line), None).unwrap();
        assert!(input.next_line(&mut Vec::new()).is_err());
        let line = io::repeat(b'x').take(RECORD_BYTES_MAX as u64).chain(&b"\nnext"[..]);
        let mut input = Input::new(Box::new(line), None).unwrap();
        assert_eq!(
            lines(&mut input).iter().map(String::len).collect::<Vec<_>>(),
            [RECORD_BYTES_MAX, 4]
        );
    }
}
