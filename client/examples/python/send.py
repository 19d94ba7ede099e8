"""Makes an account, submits a mail, waits for its end, and prints what became of each recipient."""

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "generated"))

import grpc
from google.rpc import error_details_pb2, status_pb2

from hikyaku.v1 import account_pb2, account_service_pb2, account_service_pb2_grpc
from hikyaku.v1 import job_pb2, job_service_pb2, job_service_pb2_grpc, mail_pb2

# Longest that a call but the watch may take.
CALL_SECONDS_MAX = 30
# States in which nothing more happens unless somebody acts.
RESTING = {
    job_pb2.JOB_STATE_HELD,
    job_pb2.JOB_STATE_IN_DOUBT,
    job_pb2.JOB_STATE_SUBMITTED,
    job_pb2.JOB_STATE_PARTLY_SUBMITTED,
    job_pb2.JOB_STATE_FAILED,
    job_pb2.JOB_STATE_EXPIRED,
    job_pb2.JOB_STATE_CANCELLED,
}


def main():
    args = arguments()
    # Over a Unix socket grpcio names the path as the authority, which is not a valid one for a strict server.
    with grpc.insecure_channel(args.endpoint, options=[("grpc.default_authority", "localhost")]) as channel:
        try:
            create_account(account_service_pb2_grpc.AccountServiceStub(channel), args)
            job = send(job_service_pb2_grpc.JobServiceStub(channel), args)
        except grpc.RpcError as error:
            sys.exit(explain(error))
    show(job)
    return 0 if job.state == job_pb2.JOB_STATE_SUBMITTED else 1


def create_account(accounts, args):
    """Makes the account, or uses the one that is there."""
    settings = account_pb2.AccountSettings(
        server=account_pb2.Server(host=args.host, port=args.port, encryption=encryption(args.encryption)),
        limits=account_pb2.Limits(
            quotas=[account_pb2.Quota(limit=20, unit=account_pb2.QUOTA_UNIT_MESSAGES, sliding={"seconds": 60})]
        ),
    )
    getattr(settings, "from").address = args.sender  # "from" is a word of Python
    if args.user:
        settings.sign_in.password.user = args.user
        settings.sign_in.password.password = os.environ["SMTP_PASSWORD"]
        settings.sign_in.password.allow_plaintext = args.allow_plaintext
    try:
        request = account_service_pb2.CreateAccountRequest(account_id=args.account, settings=settings)
        accounts.CreateAccount(request, timeout=CALL_SECONDS_MAX)
        print(f"account {args.account} was made")
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.ALREADY_EXISTS:
            raise
        print(f"account {args.account} was there")


def send(jobs, args):
    """Submits the mail, and watches it until it rests or the time is up."""
    draft = job_pb2.JobDraft(
        account_id=args.account,
        to=[mail_pb2.Mailbox(address=address) for address in args.to],
        mail=mail_pb2.MailContent(subject=args.subject, text=args.text),
    )
    # The watch begins before the mail is submitted, so it misses nothing however fast the mail goes. The daemon answers
    # with its metadata once it watches.
    watch = jobs.WatchJobs(job_service_pb2.WatchJobsRequest(account_id=args.account), timeout=args.wait_seconds)
    watch.initial_metadata()
    stored = jobs.SubmitJob(job_service_pb2.SubmitJobRequest(job=draft), timeout=CALL_SECONDS_MAX)
    print(f"accepted as {stored.job_id}, {stored.message_bytes} bytes")
    for warning in stored.warnings:
        print(f"warning: {warning}")
    try:
        for event in watch:
            if event.job_id != stored.job_id:
                continue
            print(f"{event.at.ToJsonString()}  {job_pb2.JobState.Name(event.state)}")
            if event.state in RESTING:
                break
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.DEADLINE_EXCEEDED:
            raise
        print(f"stopped waiting after {args.wait_seconds:g} s; the job goes on")
    watch.cancel()
    request = job_service_pb2.GetJobRequest(job_id=stored.job_id)
    return jobs.GetJob(request, timeout=CALL_SECONDS_MAX).job


def show(job):
    """Prints each recipient's state and the server's words, made harmless for a terminal."""
    for recipient in job.recipients:
        state = job_pb2.RecipientState.Name(recipient.state)
        print(f"{recipient.address}: {state} after {job.attempts_made} attempts")
        for line in filter(None, recipient.finding.text.split("\n")):
            print("   ", "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line))


def explain(error):
    """The message of a refusal, with each field that is wrong."""
    lines = [f"{error.code().name}: {error.details()}"]
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin":
            continue
        for detail in status_pb2.Status.FromString(value).details:
            bad = error_details_pb2.BadRequest()
            if detail.Unpack(bad):
                lines += [f"  {violation.field}: {violation.description}" for violation in bad.field_violations]
    return "\n".join(lines)


def encryption(name):
    return account_pb2.Encryption.Value(f"ENCRYPTION_{name.upper()}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoint", default="unix:/run/hikyaku/hikyaku.sock")
    parser.add_argument("--account", required=True)
    parser.add_argument("--from", required=True, dest="sender", metavar="ADDRESS")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, default=0, help="follows the encryption when 0")
    parser.add_argument("--encryption", default="unspecified", choices=["unspecified", "none", "starttls", "tls"])
    parser.add_argument("--user")
    parser.add_argument("--allow-plaintext", action="store_true")
    parser.add_argument("--to", required=True, action="append", metavar="ADDRESS")
    parser.add_argument("--subject", default="Hello from Python")
    parser.add_argument("--text", default="Sent through Hikyaku.")
    parser.add_argument("--wait-seconds", type=float, default=120, help="how long to watch the job; it goes on after that")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
