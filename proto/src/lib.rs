//! x
/// v1
pub mod v1 {
    tonic::include_proto!("hikyaku.v1");
}
