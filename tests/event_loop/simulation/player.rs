//! A client that the script plays, and what it is to be told.

use wsloop::testing::{ClientId, Received, Rehearsal};
use wsloop::{CloseCause, MessageType};

use super::application::{Application, Line, TOO_SLOW};

pub(crate) struct Player {
    pub(crate) id: ClientId,
    pub(crate) line: usize,
    /// It has read all the time.
    pub(crate) is_patient: bool,
    /// It has sent Close, and is told of no messages any more.
    pub(crate) closes: bool,
    /// It has ended its stream, or broken the connection.
    pub(crate) has_left: bool,
    /// It was sent Close.
    is_over: bool,
}

impl Player {
    pub(crate) fn new(id: ClientId, line: usize) -> Self {
        Self { id, line, is_patient: true, closes: false, has_left: false, is_over: false }
    }

    /// Receives what it was sent: each message whole and in its place.
    pub(crate) fn listen(&mut self, play: &mut Rehearsal<Application>) {
        while let Some(received) = play.receive(self.id) {
            let (message_type, payload) = match received {
                Received::Text(text) => (MessageType::Text, text.as_bytes().to_vec()),
                Received::Binary(bytes) => (MessageType::Binary, bytes.to_vec()),
                Received::Close(_, reason) => {
                    let is_complete = reason != TOO_SLOW && !self.closes;
                    self.is_over = true;
                    if is_complete {
                        play.handler().lines[self.line].to_client.check_complete();
                    }
                    continue;
                }
                Received::End => {
                    self.check_end(&play.handler().lines[self.line]);
                    continue;
                }
                _ => continue,
            };
            assert!(!self.is_over, "something after Close");
            let line = &mut play.handler_mut().lines[self.line];
            line.to_client.receive(message_type, &payload);
        }
    }

    /// Checks that the end of the stream came behind what had to come before.
    fn check_end(&self, line: &Line) {
        match line.ended {
            Some(CloseCause::Remote) if self.is_patient => assert!(self.is_over, "no Close"),
            // Whoever ends only their own side may still read.
            Some(CloseCause::EndOfStream) if self.is_patient && !self.closes => {
                line.to_client.check_complete();
            }
            _ => {}
        }
    }
}
