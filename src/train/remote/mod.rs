//! Training on another machine: burn's remote backend over a WebSocket, client and server.
//!
//! The data set, the plan, the run's folder and automatic differentiation stay here; each operation on tensors is sent to
//! the server, and what is read back comes from there. The server learns pictures, labels and weights as tensors, never
//! files.
//!
//! What protects a server is its token: without it nobody computes there, and comparing it takes the same time whatever
//! is sent. What burn's protocol does not protect: nothing is encrypted, so who reads the traffic reads the token, the
//! pictures and the weights, and who changes it changes the results; nothing shows the client that the server is the
//! right one; a client with the token may take all memory and time of the device, and can make the server connect to
//! other addresses (tensors go from server to server so); and before the token is seen, messages of up to 1 GB are taken
//! from anybody. So a server listens on this machine alone unless told otherwise, and SSH carries the rest (README).

mod address;
mod client;
mod server;
mod token;

pub use address::Address;
pub(super) use client::connect;
pub use server::Server;
pub use token::Token;
