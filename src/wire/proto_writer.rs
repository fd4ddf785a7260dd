//! Writes a Protobuf message field by field at the end of a buffer: for what is said most often, whose message with its many parts
//! would cost more to make and to measure than to write. A field is left out by the rules of proto3; which number is which field is for
//! the caller to know, and for its tests to hold against the message.

/// A message in the making.
pub(super) struct Message<'o>(&'o mut Vec<u8>);

impl<'o> Message<'o> {
    /// A message at the end of `out`.
    pub(super) const fn new(out: &'o mut Vec<u8>) -> Self {
        Self(out)
    }

    /// A whole number or an enum, left out if it is 0.
    pub(super) fn int(&mut self, field: u32, value: i64) {
        if value != 0 {
            self.present(field, value);
        }
    }

    /// A whole number whose presence is tracked.
    pub(super) fn present(&mut self, field: u32, value: i64) {
        self.varint(u64::from(field) << 3);
        self.varint(value.cast_unsigned());
    }

    /// A text, left out if it is empty.
    pub(super) fn text(&mut self, field: u32, text: &str) {
        if !text.is_empty() {
            self.delimited(field);
            self.varint(text.len() as u64);
            self.0.extend_from_slice(text.as_bytes());
        }
    }

    /// A message inside this one, present even if `write` writes nothing.
    pub(super) fn message(&mut self, field: u32, write: impl FnOnce(&mut Message<'_>)) {
        self.delimited(field);
        let at = self.0.len();
        // Room for the length, one byte unless the message is long.
        self.0.push(0);
        write(&mut Message(self.0));
        let end = self.0.len();
        let length = end - at - 1;
        if length < 0x80 {
            self.0[at] = length as u8;
            return;
        }
        self.varint(length as u64);
        let length_bytes = self.0.len() - end;
        self.0[at..].rotate_right(length_bytes);
        self.0.remove(at + length_bytes);
    }

    fn delimited(&mut self, field: u32) {
        self.varint((u64::from(field) << 3) | 2);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}
