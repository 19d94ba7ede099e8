"""Does mail that a real daemon has signed satisfy verifiers that others wrote? `tests/dkim/check` prepares and runs this."""

import argparse
import contextlib
import email
import email.policy
import subprocess
import sys
import time
from pathlib import Path

import grpc

from hikyaku.v1 import account_pb2, account_service_pb2, account_service_pb2_grpc, dkim_pb2
from hikyaku.v1 import dkim_service_pb2, dkim_service_pb2_grpc, job_pb2, job_service_pb2, job_service_pb2_grpc
from hikyaku.v1 import mail_pb2, server_pb2

import servers
import verifiers

CALL_SECONDS_MAX = 60
START_SECONDS_MAX = 60
ARRIVAL_SECONDS_MAX = 60

RSA_2048, RSA_4096 = dkim_pb2.DKIM_ALGORITHM_RSA_2048, dkim_pb2.DKIM_ALGORITHM_RSA_4096
ED25519 = dkim_pb2.DKIM_ALGORITHM_ED25519

# What is signed by which keys, by the local part of From: selector, domain, algorithm.
AUTHOR_RSA = ("rsa", "author.test", RSA_2048)
AUTHOR_LONG = ("long", "author.test", RSA_4096)
AUTHOR_ED25519 = ("ed", "author.test", ED25519)
THIRD_PARTY = ("esp", "third.test", RSA_2048)
CASES = {
    "rsa": [AUTHOR_RSA],
    "long": [AUTHOR_LONG],
    "ed25519": [AUTHOR_ED25519],
    "both": [AUTHOR_RSA, AUTHOR_ED25519],
    "third": [THIRD_PARTY],
    "parties": [AUTHOR_RSA, AUTHOR_ED25519, THIRD_PARTY],
}
BODIES = {
    "plain": "Hello\n\n.a leading dot\ntrailing space \n\n\n",
    "japanese": "飛脚が走る。\r\n〜①㈱髙\n" + "長い行" * 400,
}


class Tally:
    def __init__(self):
        self.right = self.wrong = self.skipped = 0
        self.told = set()

    def note(self, what, is_right):
        self.right, self.wrong = self.right + is_right, self.wrong + (not is_right)
        if not is_right:
            print(f"FAIL  {what}")

    def skip(self, what):
        self.skipped += 1
        if what not in self.told:
            self.told.add(what)
            print(f"SKIP, NOT CHECKED: {what}")


def main():
    args = arguments()
    records = {}
    sink, names = servers.Sink(), servers.NameServer(records)
    asked = [verifiers.KNOWN[name](records, names.port) for name in args.verifiers]
    tally = Tally()
    with daemon(args, names.port) as channel:
        house = House(channel, sink, records)
        house.prepare(tally)
        for name in CASES:
            for kind, raw in house.messages(name):
                check(f"{name}, {kind}", raw, CASES[name], asked, tally)
        house.check_forbidden(tally)
    print(f"{tally.right} right, {tally.wrong} wrong, {tally.skipped} skipped, by {', '.join(args.verifiers)}")
    return 1 if tally.wrong else 0


def check(what, raw, keys, asked, tally):
    """A message passes as a whole and by each of its signatures alone, and does not once a byte was changed."""
    header, body = raw.split(b"\r\n\r\n", 1)
    fields = split_fields(header)
    signatures = [field for field in fields if field.lower().startswith(b"dkim-signature:")]
    found = [(tag(field, "s"), tag(field, "d")) for field in signatures]
    tally.note(f"{what}: signed by {found}", found == [(selector, domain) for selector, domain, _ in keys])
    rest = fields[len(signatures) :]
    versions = [("all signatures", signatures, {kind(algorithm) for _, _, algorithm in keys})]
    for (selector, domain, algorithm), signature in zip(keys, signatures):
        versions.append((f"{selector}._domainkey.{domain}", [signature], {kind(algorithm)}))
    for name, kept, algorithms in versions:
        good = b"".join(kept + rest) + b"\r\n" + body
        changed = [
            ("body", good[: -len(body)] + bytes([body[0] ^ 1]) + body[1:]),
            ("Subject", good.replace(b"Subject: ", b"Subject: x", 1)),
            ("From", good.replace(b"\r\nFrom: ", b"\r\nFrom: x@author.test\r\nFrom: ", 1)),
        ]
        for verifier in asked:
            if unknown := {algorithm for algorithm in algorithms if not verifier.knows(algorithm)}:
                tally.skip(f"{', '.join(unknown)} by {verifier.name}: the one of this host does not know it")
            if unknown == algorithms:
                continue
            tally.note(f"{what}, {name}: {verifier.name} does not verify it", verifier.passes(good))
            for part, broken in changed:
                tally.note(f"{what}, {name}: {verifier.name} takes a changed {part}", not verifier.passes(broken))


class House:
    """The daemon as its callers see it."""

    def __init__(self, channel, sink, records):
        self.sink, self.records = sink, records
        self.accounts = account_service_pb2_grpc.AccountServiceStub(channel)
        self.dkim = dkim_service_pb2_grpc.DkimServiceStub(channel)
        self.jobs = job_service_pb2_grpc.JobServiceStub(channel)

    def prepare(self, tally):
        settings = account_pb2.AccountSettings(
            server=server_pb2.Server(host="127.0.0.1", port=self.sink.port, encryption=server_pb2.ENCRYPTION_NONE)
        )
        getattr(settings, "from").address = "rsa@author.test"
        settings.may_send_as.extend(["@author.test"])
        self.accounts.CreateAccount(
            account_service_pb2.CreateAccountRequest(account_id="sink", settings=settings), timeout=CALL_SECONDS_MAX
        )
        for key in (AUTHOR_RSA, AUTHOR_LONG, AUTHOR_ED25519, THIRD_PARTY):
            self.create_key(key, tally)
        rules = [
            dkim_pb2.DkimRule(**{"from": [f"{name}@author.test"]}, key_ids=[key_id(key) for key in keys])
            for name, keys in CASES.items()
        ]
        self.dkim.SetDkimRules(
            dkim_service_pb2.SetDkimRulesRequest(rules=dkim_pb2.DkimRules(rules=rules)), timeout=CALL_SECONDS_MAX
        )

    def create_key(self, key, tally):
        """Makes a key, and has it checked before and after its record is published."""
        selector, domain, algorithm = key
        request = dkim_service_pb2.CreateDkimKeyRequest(domain=domain, selector=selector, algorithm=algorithm)
        made = self.dkim.CreateDkimKey(request, timeout=CALL_SECONDS_MAX).key
        check_request = dkim_service_pb2.CheckDkimKeyRequest(dkim_key_id=made.dkim_key_id)
        self.records[made.dkim_key_id] = made.txt_record.replace("p=", "t=y; p=")
        early = self.dkim.CheckDkimKey(check_request, timeout=CALL_SECONDS_MAX)
        tally.note(f"{made.dkim_key_id} is in use while it says t=y", not early.published and "t=y" in early.problem)
        self.records[made.dkim_key_id] = made.txt_record
        late = self.dkim.CheckDkimKey(check_request, timeout=CALL_SECONDS_MAX)
        tally.note(f"{made.dkim_key_id} is not found: {late.problem}", late.published)

    def messages(self, name):
        """Sends each kind of message as NAME, and gives what arrived."""
        sender = f"{name}@author.test"
        for kind, text in BODIES.items():
            mail = mail_pb2.MailContent(
                subject=f"Subject of {kind} 飛脚", text=text, html=f"<p>{text}</p>" if kind == "japanese" else ""
            )
            yield kind, self.submit(sender, f"{kind}.{name}@sink.test", mail=mail)
        raw = f"From: {sender}\nTo: {sender}\nSubject: raw\nDate: Sun, 22 Nov 2026 10:00:00 +0000\n\nraw \n\nend\n"
        yield "raw", self.submit(sender, f"raw.{name}@sink.test", raw=raw.encode())
        yield "merge", self.merge(sender, f"merge.{name}@sink.test")

    def check_forbidden(self, tally):
        mail = mail_pb2.MailContent(subject="unsigned", text="no rule is for this From")
        raw = self.submit("other@author.test", "other@sink.test", mail=mail)
        tally.note("a message that no rule is for is signed", b"dkim-signature" not in raw.lower())

    def submit(self, sender, recipient, **content):
        draft = self.draft(sender, **content)
        draft.to.add(address=recipient)
        request = job_service_pb2.SubmitJobRequest(job=draft)
        self.jobs.SubmitJob(request, timeout=CALL_SECONDS_MAX)
        return self.sink.wait(recipient, ARRIVAL_SECONDS_MAX)

    def merge(self, sender, recipient):
        mail = mail_pb2.MailContent(subject="Subject for {{ name }}", text="Dear {{ name }},\nbye\n")
        head = job_service_pb2.MergeHead(job=self.draft(sender, mail=mail))
        batch = job_service_pb2.MergeRecipients()
        batch.recipients.add(address=recipient, name="太郎")
        requests = [
            job_service_pb2.SubmitMergeRequest(head=head),
            job_service_pb2.SubmitMergeRequest(recipients=batch),
        ]
        self.jobs.SubmitMerge(iter(requests), timeout=CALL_SECONDS_MAX)
        return self.sink.wait(recipient, ARRIVAL_SECONDS_MAX)

    @staticmethod
    def draft(sender, **content):
        draft = job_pb2.JobDraft(account_id="sink", **content)
        getattr(draft, "from").address = sender
        return draft


@contextlib.contextmanager
def daemon(args, dns_port):
    folder = Path(args.folder)
    socket = folder / "hikyaku.sock"
    # A test does not care how full the disk is.
    (folder / "hikyaku.toml").write_text(
        f'[store]\npath = "{folder}/store"\nintake_free_bytes_min = 0\nwork_free_bytes_min = 0\nballast_bytes = 0\n'
        f'[seal]\nkey_file = "{folder}/seal.key"\n'
        f'[listen]\nunix = {{ path = "{socket}", mode = "0600" }}\n[dns]\nserver = "127.0.0.1:{dns_port}"\n'
    )
    log = open(folder / "log", "wb")
    process = subprocess.Popen([args.daemon, "serve", "--config", folder / "hikyaku.toml"], stdout=log, stderr=log)
    try:
        # Over a Unix socket grpcio names the path as the authority, which is not a valid one for a strict server.
        with grpc.insecure_channel(f"unix:{socket}", options=[("grpc.default_authority", "localhost")]) as channel:
            deadline = time.monotonic() + START_SECONDS_MAX
            while not socket.exists() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.1)
            if process.poll() is not None:
                raise RuntimeError(f"hikyakud ended at once, with {process.returncode}")
            grpc.channel_ready_future(channel).result(timeout=START_SECONDS_MAX)
            yield channel
    except BaseException:
        sys.stdout.write((folder / "log").read_text()[-4000:])
        raise
    finally:
        process.terminate()
        process.wait(timeout=60)


def split_fields(header):
    """The fields with all their lines."""
    fields = []
    for line in header.split(b"\r\n"):
        if line[:1] in (b" ", b"\t"):
            fields[-1] += line + b"\r\n"
        else:
            fields.append(line + b"\r\n")
    return fields


def tag(field, name):
    value = email.message_from_bytes(field, policy=email.policy.compat32)["DKIM-Signature"]
    tags = dict(part.strip().split("=", 1) for part in value.split(";") if "=" in part)
    return tags[name].strip()


def key_id(key):
    selector, domain, _ = key
    return f"{selector}._domainkey.{domain}"


def kind(algorithm):
    return "ed25519" if algorithm == ED25519 else "rsa"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--daemon", required=True, help="a built hikyakud")
    parser.add_argument("--folder", required=True, help="an empty folder for store, socket and log")
    parser.add_argument("verifiers", nargs="+", choices=sorted(verifiers.KNOWN))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
