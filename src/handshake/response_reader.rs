//! The answer to one request: interim responses, then the final one, RFC 9110 §15.

use core::mem;

use super::response_body::Body;
use super::response_error::ResponseError;
use super::response_head::{ResponseHead, ResponseHeadBuffer, ResponseLimits};
use super::server_refusal::ServerRefusal;

/// Collects an answer from bytes as they arrive.
#[derive(Clone, Debug)]
pub(super) struct ResponseReader {
    request: RequestKind,
    limits: ResponseLimits,
    interim_responses: u8,
    stage: Stage,
}

/// What was asked for, and so what is a success.
#[derive(Clone, Copy, Debug)]
pub(super) enum RequestKind {
    /// An upgrade, to be answered with 101.
    Upgrade,
    /// A tunnel, to be answered with 2xx (RFC 9110 §9.3.6).
    Connect,
}

/// The final response.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// Success: whatever follows the head is no longer HTTP.
    Switched(ResponseHead),
    /// Anything else.
    Refused(ServerRefusal),
}

#[derive(Clone, Debug)]
enum Stage {
    Head(ResponseHeadBuffer),
    /// In the body of a refusal.
    Body(ResponseHead, Body),
    /// The answer has been returned.
    Finished,
    Failed(ResponseError),
}

/// Enough for 100, a few 103 and some of the kind that say that work goes on.
const MAX_INTERIM_RESPONSES: u8 = 8;

impl ResponseReader {
    pub(super) fn new(request: RequestKind, limits: ResponseLimits) -> Self {
        let stage = Stage::Head(ResponseHeadBuffer::default());
        Self { request, limits, interim_responses: 0, stage }
    }

    /// Takes bytes from the front of `input` until the answer is complete, and returns it once.
    pub(super) fn receive(&mut self, input: &mut &[u8]) -> Result<Option<Answer>, ResponseError> {
        loop {
            match &mut self.stage {
                Stage::Head(buffer) => match buffer.receive(input, &self.limits) {
                    Ok(None) => return Ok(None),
                    Ok(Some(head)) => {
                        if let Some(answer) = self.judge(head)? {
                            return Ok(Some(answer));
                        }
                    }
                    Err(error) => return Err(self.fail(error)),
                },
                Stage::Body(_, body) => {
                    if !body.receive(input) {
                        return Ok(None);
                    }
                    return self.end();
                }
                Stage::Finished => return Ok(None),
                Stage::Failed(error) => return Err(*error),
            }
        }
    }

    /// Takes the end of the stream, which is the end of some bodies.
    pub(super) fn end(&mut self) -> Result<Option<Answer>, ResponseError> {
        match mem::replace(&mut self.stage, Stage::Finished) {
            Stage::Head(buffer) if buffer.is_empty() && self.interim_responses == 0 => {
                Err(self.fail(ResponseError::NoResponse))
            }
            Stage::Head(_) => Err(self.fail(ResponseError::Incomplete)),
            Stage::Body(head, body) => {
                Ok(Some(Answer::Refused(ServerRefusal::new(head, body.into_bytes()))))
            }
            Stage::Finished => Ok(None),
            Stage::Failed(error) => Err(self.fail(error)),
        }
    }

    /// Fails from now on.
    pub(super) fn fail(&mut self, error: ResponseError) -> ResponseError {
        self.stage = Stage::Failed(error);
        error
    }

    /// Judges a head by its status. Returns the answer if that is all of it.
    fn judge(&mut self, head: ResponseHead) -> Result<Option<Answer>, ResponseError> {
        let switched = match (self.request, head.status()) {
            (RequestKind::Upgrade, 101) | (RequestKind::Connect, 200..=299) => true,
            // RFC 9110 §15.2: "A client MUST be able to parse one or more 1xx responses received
            // prior to a final response". 101 is one that nobody asked a proxy for, and final.
            (_, 100 | 102..=199) => {
                if self.interim_responses == MAX_INTERIM_RESPONSES {
                    return Err(self.fail(ResponseError::TooManyInterim));
                }
                self.interim_responses += 1;
                self.stage = Stage::Head(ResponseHeadBuffer::default());
                return Ok(None);
            }
            _ => false,
        };
        if switched {
            self.stage = Stage::Finished;
            return Ok(Some(Answer::Switched(head)));
        }
        let body = Body::new(head.status(), &head.received_fields(), self.limits.max_body_size);
        self.stage = Stage::Body(head, body);
        Ok(None)
    }
}
