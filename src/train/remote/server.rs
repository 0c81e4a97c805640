//! The server: a device of this machine, for clients that have the token.

use super::{Address, Token};
use burn::server::{
    AuthorizationRequest, Credential, PeerAuthorizer as _, RemoteServer, TokenAuthorizer, WebSocketTransport,
};
use burn::tensor::Device;
use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

/// How often it is asked whether to stop.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long sessions may take to end.
const FAREWELL: Duration = Duration::from_secs(2);
/// Threads that move messages; each session computes on one of its own.
const THREADS: usize = 2;

/// A server that is bound to its address.
pub struct Server {
    listener: TcpListener,
    server: RemoteServer,
    address: SocketAddr,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Binds the address for clients that have the token; port 0 for one that the system picks. `say` is told who came.
    ///
    /// # Errors
    /// A sentence, when the address cannot be bound.
    pub fn bind(
        address: &Address,
        device: Device,
        token: &Token,
        say: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let fail = |cause: &dyn fmt::Display| format!("The server cannot listen on {address}: {cause}.");
        let listener = TcpListener::bind(address.resolve()?.as_slice()).map_err(|cause| fail(&cause))?;
        let bound = listener.local_addr().map_err(|cause| fail(&cause))?;
        let guard = TokenAuthorizer::new(token.as_str()).map_err(|cause| fail(&cause))?;
        let admit = move |request: AuthorizationRequest<'_>| {
            let client = request.client;
            let answer = guard.authorize(AuthorizationRequest { credential: &token_of(request.credential), ..request });
            say(&match &answer {
                Ok(()) => format!("{client} computes here"),
                Err(_) => format!("{client} was refused: it has not the token"),
            });
            answer
        };
        Ok(Self { listener, server: RemoteServer::new([device]).with_authorizer(admit), address: bound })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is asked to stop; sessions end then.
    ///
    /// # Errors
    /// A sentence, when it cannot go on.
    pub fn serve(self, asked_to_stop: &dyn Fn() -> bool) -> Result<(), String> {
        let fail = |cause: &dyn fmt::Display| format!("The server cannot serve: {cause}.");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("frostline-serve")
            .enable_all()
            .build()
            .map_err(|cause| fail(&cause))?;
        let serving = runtime.spawn(self.server.serve_async(WebSocketTransport::from_listener(self.listener)));
        while !serving.is_finished() && !asked_to_stop() {
            std::thread::sleep(PATIENCE);
        }
        let ended = if serving.is_finished() { Some(runtime.block_on(serving)) } else { None };
        runtime.shutdown_timeout(FAREWELL);
        match ended {
            None | Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(cause))) => Err(fail(&cause)),
            Some(Err(cause)) => Err(fail(&cause)),
        }
    }
}

/// The token of a credential: what stands before the number of the connection.
fn token_of(credential: &Credential) -> Credential {
    let mut parts = credential.as_bytes().rsplitn(2, |byte| *byte == b'\n');
    let number = parts.next().unwrap_or_default();
    Credential::from(parts.next().unwrap_or(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_the_connection_is_no_part_of_the_token() {
        let token = |credential: &str| String::from_utf8(token_of(&credential.into()).as_bytes().to_vec()).unwrap();
        assert_eq!(token("secret\n17"), "secret");
        assert_eq!(token("secret"), "secret");
        assert_eq!((token("\nsecret"), token("")), (String::new(), String::new()));
    }
}
