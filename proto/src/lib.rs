//! The `hikyaku.v1` gRPC API, generated from `proto/hikyaku/v1`; the comments there are its manual.

/// Messages, clients and servers of `hikyaku.v1`.
#[expect(clippy::all, reason = "generated code; the .proto files hold the comments")]
pub mod v1 {
    tonic::include_proto!("hikyaku.v1");
}

/// The compiled API as a serialized `google.protobuf.FileDescriptorSet`, for reflection.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hikyaku.bin"));
