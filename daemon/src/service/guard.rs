//! Who may call what: every call passes here before it reaches a service.

use std::{
    any::Any,
    panic::AssertUnwindSafe,
    task::{Context, Poll},
};

use futures_util::{FutureExt, future::BoxFuture};
use tonic::{Request, Status, body::Body, codegen::http};
use tonic_types::{ErrorDetails, StatusExt};
use tower::{Layer, Service};

use super::{
    api_keys::{ApiKeys, LOCAL_CALLER, Role},
    status::Refusal,
    visibility::Visitor,
};
use crate::domain::ids::Caller;

/// How the callers of one listener are known.
#[derive(Clone, Debug)]
pub enum Guard {
    /// Whoever can connect may call, as `local` and as an admin: the Unix socket, and TCP on the loopback interface.
    Local,
    /// By `authorization: Bearer <key>`.
    Keys(ApiKeys),
}

/// What a caller needs for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Nothing: probes have no key, and learn only whether the daemon serves.
    Open,
    /// To be known.
    KnownCaller,
    /// To be an admin.
    Admin,
}

/// The rule of a method; nothing for one that does not exist.
fn rule_of(path: &str) -> Option<Rule> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    match service {
        "hikyaku.v1.JobService" => is_of_jobs(method).then_some(Rule::KnownCaller),
        "hikyaku.v1.AccountService" => matches!(
            method,
            "CreateAccount"
                | "GetAccount"
                | "ListAccounts"
                | "UpdateAccount"
                | "DeleteAccount"
                | "PauseAccount"
                | "ResumeAccount"
                | "GetAccountUsage"
                | "ReportUsage"
                | "TestAccount"
                | "BeginConsent"
                | "FinishConsent"
        )
        .then_some(Rule::KnownCaller),
        "hikyaku.v1.ProviderService" => {
            matches!(method, "ListPresets" | "DiscoverSettings").then_some(Rule::KnownCaller)
        }
        "hikyaku.v1.RouteService" => {
            matches!(method, "GetRouting" | "SetRouting" | "ExplainRoute").then_some(Rule::KnownCaller)
        }
        "hikyaku.v1.BlobService" => {
            matches!(method, "BeginUpload" | "UploadBlob" | "GetBlob").then_some(Rule::KnownCaller)
        }
        "hikyaku.v1.DkimService" => is_of_dkim(method).then_some(Rule::Admin),
        "hikyaku.v1.SuppressionService" => is_of_suppressions(method).then_some(Rule::KnownCaller),
        "hikyaku.v1.InboundService" => is_of_inbound(method).then_some(Rule::KnownCaller),
        "hikyaku.v1.StatisticsService" => (method == "GetStatistics").then_some(Rule::KnownCaller),
        "hikyaku.v1.ClassificationService" => (method == "Classify").then_some(Rule::KnownCaller),
        "hikyaku.v1.StoreService" => matches!(method, "BackupStore" | "VerifyStore").then_some(Rule::KnownCaller),
        "grpc.reflection.v1.ServerReflection" | "grpc.reflection.v1alpha.ServerReflection" => {
            (method == "ServerReflectionInfo").then_some(Rule::KnownCaller)
        }
        "grpc.health.v1.Health" => matches!(method, "Check" | "Watch").then_some(Rule::Open),
        _ => None,
    }
}

fn is_of_jobs(method: &str) -> bool {
    matches!(
        method,
        "SubmitJob"
            | "SubmitJobs"
            | "SubmitMerge"
            | "GetJob"
            | "ListJobs"
            | "ListRecipients"
            | "CancelJobs"
            | "HoldJobs"
            | "ReleaseJobs"
            | "RetryJobs"
            | "ApproveJobs"
            | "ExpireJobs"
            | "ResendJob"
            | "PreviewJob"
            | "WatchJobs"
            | "ExplainJob"
            | "EstimateCompletion"
    )
}

fn is_of_dkim(method: &str) -> bool {
    matches!(
        method,
        "CreateDkimKey"
            | "ImportDkimKey"
            | "GetDkimKey"
            | "ListDkimKeys"
            | "DeleteDkimKey"
            | "CheckDkimKey"
            | "GetDkimRules"
            | "SetDkimRules"
    )
}

/// Whose suppressions a caller may read and change is asked of each one.
fn is_of_suppressions(method: &str) -> bool {
    matches!(
        method,
        "AddSuppression" | "ImportSuppressions" | "CheckSuppression" | "ListSuppressions" | "RemoveSuppression"
    )
}

fn is_of_inbound(method: &str) -> bool {
    matches!(
        method,
        "GetMailboxStatus" | "ReadMailbox" | "GetInbound" | "ListInbound" | "WatchInbound" | "ReadInboundAttachment"
    )
}

impl Guard {
    /// Lets a call through by noting its caller with its role, or says why not.
    fn admit(&self, request: &mut http::Request<Body>) -> Result<(), Status> {
        let rule = rule_of(request.uri().path());
        if rule == Some(Rule::Open) {
            return Ok(());
        }
        let (caller, role) = self.caller(request.headers())?;
        if rule.is_none() {
            return Err(Status::unimplemented("there is no such method"));
        }
        if rule == Some(Rule::Admin) && role != Role::Admin {
            return Err(Refusal::NotAllowed("only admins may call this method").into());
        }
        request.extensions_mut().insert(caller);
        request.extensions_mut().insert(role);
        Ok(())
    }

    fn caller(&self, headers: &http::HeaderMap) -> Result<(Caller, Role), Status> {
        let Self::Keys(keys) = self else {
            let local = LOCAL_CALLER.parse().expect("the name of local callers is a caller's name");
            return Ok((local, Role::Admin));
        };
        let bearer = headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let scheme_and_key = bearer.and_then(|value| value.split_once(' '));
        let key = scheme_and_key.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, key)| key.trim());
        // A missing key takes the way of a wrong one.
        let known = keys.caller_of(key.unwrap_or_default());
        known.map(|(caller, role)| (caller.clone(), role)).ok_or_else(unauthenticated)
    }
}

fn unauthenticated() -> Status {
    let details = ErrorDetails::with_error_info("API_KEY_INVALID", "hikyaku", std::collections::HashMap::new());
    let message = "a valid API key is required: send it as \"authorization: Bearer <key>\"";
    Status::with_error_details(tonic::Code::Unauthenticated, message, details)
}

/// Who calls, as the guard has noted.
pub(super) fn caller_of<T>(request: &Request<T>) -> Result<Caller, Status> {
    let caller = request.extensions().get::<Caller>().cloned();
    caller.ok_or_else(|| Refusal::Internal("a call came past the guard").into())
}

/// Who calls with which role, as the guard has noted.
pub(super) fn visitor_of<T>(request: &Request<T>) -> Result<Visitor, Status> {
    let role = request.extensions().get::<Role>().copied();
    let role = role.ok_or_else(|| Status::from(Refusal::Internal("a call came past the guard")))?;
    Ok(Visitor::new(caller_of(request)?, role))
}

/// Puts a [`Guard`] before all services of a listener.
#[derive(Clone, Debug)]
pub struct GuardLayer(pub Guard);

impl<S> Layer<S> for GuardLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { guard: self.0.clone(), inner }
    }
}

/// Services behind a [`Guard`]. A panic in one of them ends the call that met it, and nothing else.
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    guard: Guard,
    inner: S,
}

impl<S> Service<http::Request<Body>> for Guarded<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<http::Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        if let Err(status) = self.guard.admit(&mut request) {
            tracing::debug!(path = request.uri().path(), code = ?status.code(), "call refused");
            return std::future::ready(Ok(status.into_http())).boxed();
        }
        let path = request.uri().path().to_owned();
        let answer = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        async move {
            match answer.await {
                Ok(answer) => answer,
                Err(panic) => {
                    tracing::error!(path, panic = panic_text(&*panic), "call panicked");
                    Ok(Status::from(Refusal::Internal("the call met a bug")).into_http())
                }
            }
        }
        .boxed()
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("of an unknown kind")
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use tonic::Code;

    use super::*;
    use crate::{platform::entropy::SeededEntropy, service::api_keys::new_key};

    fn request(path: &str, authorization: Option<&str>) -> http::Request<Body> {
        let mut request = http::Request::new(Body::empty());
        *request.uri_mut() = path.parse().expect("a path");
        if let Some(value) = authorization {
            request.headers_mut().insert(http::header::AUTHORIZATION, value.parse().expect("a header"));
        }
        request
    }

    const GET_JOB: &str = "/hikyaku.v1.JobService/GetJob";

    #[track_caller]
    fn check(guard: &Guard, path: &str, authorization: Option<&str>, expected: Result<Option<&str>, Code>) {
        let mut request = request(path, authorization);
        let admitted = guard.admit(&mut request).map_err(|status| status.code());
        let caller = admitted.map(|()| request.extensions().get::<Caller>().map(Caller::as_str));
        assert_eq!(caller, expected, "{path} {authorization:?}");
        let role = request.extensions().get::<Role>().copied();
        let expected = caller.ok().flatten().map(|name| if name == "shop" { Role::Member } else { Role::Admin });
        assert_eq!(role, expected, "{path} {authorization:?}");
    }

    #[test]
    fn local_callers_need_no_key() {
        check(&Guard::Local, GET_JOB, None, Ok(Some("local")));
        check(&Guard::Local, GET_JOB, Some("Bearer x"), Ok(Some("local")));
        check(&Guard::Local, "/hikyaku.v1.JobService/DropJobs", None, Err(Code::Unimplemented));
        check(&Guard::Local, "/grpc.health.v1.Health/Check", None, Ok(None));
    }

    #[test]
    fn others_need_a_key_for_all_but_probes() {
        let (key, line) = new_key(&"shop".parse().expect("a name"), Role::Member, &SeededEntropy::new(1));
        let guard = Guard::Keys(ApiKeys::parse(&line).expect("a key"));
        let key = key.expose();
        check(&guard, GET_JOB, Some(&format!("Bearer {key}")), Ok(Some("shop")));
        check(&guard, GET_JOB, Some(&format!("bearer {key}")), Ok(Some("shop")));
        check(&guard, GET_JOB, None, Err(Code::Unauthenticated));
        check(&guard, GET_JOB, Some(key), Err(Code::Unauthenticated));
        check(&guard, GET_JOB, Some("Bearer hk_wrong"), Err(Code::Unauthenticated));
        check(&guard, GET_JOB, Some(&format!("Basic {key}")), Err(Code::Unauthenticated));
        check(&guard, "/hikyaku.v1.JobService/DropJobs", None, Err(Code::Unauthenticated));
        check(&guard, "/grpc.health.v1.Health/Check", None, Ok(None));
    }

    #[test]
    fn an_admin_is_known_by_its_key() {
        let (key, line) = new_key(&"boss".parse().expect("a name"), Role::Admin, &SeededEntropy::new(1));
        let guard = Guard::Keys(ApiKeys::parse(&line).expect("a key"));
        check(&guard, GET_JOB, Some(&format!("Bearer {}", key.expose())), Ok(Some("boss")));
    }

    #[test]
    fn members_do_not_reach_the_keys() {
        let (key, line) = new_key(&"shop".parse().expect("a name"), Role::Member, &SeededEntropy::new(1));
        let guard = Guard::Keys(ApiKeys::parse(&line).expect("a key"));
        let bearer = format!("Bearer {}", key.expose());
        check(&guard, "/hikyaku.v1.DkimService/ListDkimKeys", Some(&bearer), Err(Code::PermissionDenied));
        check(&guard, "/hikyaku.v1.DkimService/ListDkimKeys", None, Err(Code::Unauthenticated));
        check(&Guard::Local, "/hikyaku.v1.DkimService/ListDkimKeys", None, Ok(Some("local")));
    }

    #[tokio::test]
    async fn a_panic_ends_its_call_only() {
        let buggy = tower::service_fn(|request: http::Request<Body>| async move {
            assert_eq!(request.extensions().get::<Caller>().map(Caller::as_str), Some("local"));
            assert!(!request.uri().path().ends_with("GetJob"), "a bug");
            Ok::<_, std::convert::Infallible>(Status::ok("fine").into_http::<Body>())
        });
        let mut guarded = GuardLayer(Guard::Local).layer(buggy);
        let answer = guarded.call(request(GET_JOB, None)).await.expect("an answer");
        let status = Status::from_header_map(answer.headers()).expect("a status");
        assert_eq!((status.code(), status.message()), (Code::Internal, "the call met a bug: please report this"));
        let other = guarded.call(request("/hikyaku.v1.JobService/ListJobs", None)).await.expect("an answer");
        assert_eq!(Status::from_header_map(other.headers()).map(|status| status.code()), Some(Code::Ok));
    }

    #[test]
    fn every_method_of_the_api_has_a_rule() {
        let api = prost_types::FileDescriptorSet::decode(hikyaku_proto::DESCRIPTOR_SET).expect("our own descriptors");
        let mut methods = 0;
        for file in api.file.iter().filter(|file| file.package() == "hikyaku.v1") {
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/hikyaku.v1.{}/{}", service.name(), method.name());
                    let rule = if service.name() == "DkimService" { Rule::Admin } else { Rule::KnownCaller };
                    assert_eq!(rule_of(&path), Some(rule), "{path}");
                    methods += 1;
                }
            }
        }
        assert_eq!(methods, 60);
    }
}
