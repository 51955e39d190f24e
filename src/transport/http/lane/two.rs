//! HTTP/2: a request is a stream of the session's connection, which other lanes ask on as well.

use super::{Head, Lost};
use crate::transport::Failure;
use crate::transport::counted::Counted;
use crate::transport::trunk::{Trunk, classify, is_untouched};
use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Error, RecvStream};
use hyper::Request;
use hyper::header::{CONTENT_LENGTH, HeaderValue};
use std::future::poll_fn;

pub(super) struct Two {
    trunk: Trunk,
    /// What asks next, if it was found to be ready.
    ready: Option<SendRequest<Bytes>>,
    body: Option<RecvStream>,
}

impl Two {
    pub fn new(trunk: Trunk) -> Two {
        Two { trunk, ready: None, body: None }
    }

    pub fn bytes(&self) -> &Counted {
        self.trunk.bytes()
    }

    /// Whether the connection takes a request; false once the target leaves it. What wasn't read of the answer before is
    /// reset.
    pub async fn is_ready(&mut self) -> bool {
        self.body = None;
        self.ready = self.trunk.ready().await.ok().filter(|_| !self.trunk.is_over());
        self.ready.is_some()
    }

    pub async fn ask(&mut self, request: Request<Bytes>) -> Result<Head, Lost> {
        match self.answer(request).await {
            Ok((head, body)) => {
                self.body = Some(body);
                Ok(head)
            }
            Err(error) => {
                let is_untouched = is_untouched(&error);
                Err(Lost { failure: classify(&error), is_unsent: is_untouched, was_reused: is_untouched })
            }
        }
    }

    async fn answer(&mut self, request: Request<Bytes>) -> Result<(Head, RecvStream), Error> {
        let mut requests = match self.ready.take() {
            Some(requests) => requests,
            None => self.trunk.ready().await?,
        };
        let (mut head, body) = request.into_parts();
        if !body.is_empty() {
            head.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        let (response, mut stream) = requests.send_request(Request::from_parts(head, ()), body.is_empty())?;
        if !body.is_empty() {
            // It goes out as the target's windows allow.
            stream.send_data(body, true)?;
        }
        let (head, body) = self.trunk.carry(response).await?.into_parts();
        Ok((Head { status: head.status, headers: head.headers }, body))
    }

    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        let Some(body) = &mut self.body else { return Ok(None) };
        let data = match self.trunk.carry(body.data()).await {
            None => None,
            Some(Ok(data)) => body.flow_control().release_capacity(data.len()).map(|()| Some(data)).transpose(),
            Some(Err(error)) => Some(Err(error)),
        };
        match data {
            None => {
                self.body = None;
                Ok(None)
            }
            Some(Ok(data)) => Ok(Some(data)),
            Some(Err(error)) => {
                self.body = None;
                Err(classify(&error))
            }
        }
    }

    pub async fn until_closed(&mut self) {
        self.body = None;
        self.ready = None;
        poll_fn(|cx| self.trunk.poll(cx)).await;
    }
}
