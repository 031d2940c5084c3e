//! Frames on their way to the transport.

/// Bytes that are added at the end and taken from the front.
#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    /// How many of them have been taken.
    taken: usize,
}

/// The most that stays allocated, in bytes, while there is no output: as much as a transport
/// commonly takes at once.
const KEPT_CAPACITY: usize = 64 * 1024;

impl Output {
    /// Returns what has not been taken.
    pub(super) fn pending(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    /// Returns where to append.
    pub(super) fn end(&mut self) -> &mut Vec<u8> {
        // What is moved is no longer than what was taken: each byte is moved at most once for
        // each byte taken, however small the parts.
        if self.taken >= self.bytes.len() - self.taken {
            self.bytes.copy_within(self.taken.., 0);
            self.bytes.truncate(self.bytes.len() - self.taken);
            self.taken = 0;
        }
        &mut self.bytes
    }

    /// Takes `len` bytes from the front.
    pub(super) fn take(&mut self, len: usize) {
        assert!(len <= self.pending().len(), "more taken than there is");
        self.taken += len;
        if self.taken == self.bytes.len() {
            self.taken = 0;
            self.bytes.clear();
            self.bytes.shrink_to(KEPT_CAPACITY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_what_was_appended_in_order() {
        let (mut output, mut taken, mut next) = (Output::default(), Vec::new(), 0_u8);
        for step in 0..1000 {
            for _ in 0..step % 7 {
                output.end().push(next);
                next = next.wrapping_add(1);
            }
            let len = output.pending().len().min(step % 5);
            taken.extend_from_slice(&output.pending()[..len]);
            output.take(len);
            assert!(output.bytes.len() <= 2 * (output.pending().len() + 8), "room is reused");
        }
        taken.extend_from_slice(output.pending());
        assert!(taken.iter().enumerate().all(|(i, &byte)| byte == i as u8));
        assert_eq!(taken.len() % 256, usize::from(next));
    }

    #[test]
    fn a_burst_does_not_stay_allocated() {
        let mut output = Output::default();
        output.end().resize(1 << 20, 0);
        output.take(1 << 20);
        assert!(output.bytes.capacity() <= KEPT_CAPACITY);
    }

    #[test]
    #[should_panic = "more taken than there is"]
    fn no_more_can_be_taken_than_there_is() {
        Output::default().take(1);
    }
}
