"""What do others say of a signed message? Each verifier is given the records instead of the name system.

A message passes when all of its signatures do whose algorithm the verifier knows; there has to be one."""

import os
import re
import subprocess
import tempfile

PERL = """
use Mail::DKIM::Verifier; use Mail::DKIM::DNS; use Net::DNS;
Mail::DKIM::DNS::resolver(Net::DNS::Resolver->new(
  nameservers => ["127.0.0.1"], port => $ENV{DNS_PORT}, recurse => 1));
my $verifier = Mail::DKIM::Verifier->new;
local $/; my $message = <STDIN>;
$verifier->PRINT($message); $verifier->CLOSE;
print join(",", map { $_->algorithm . "=" . $_->result } $verifier->signatures);
"""
# Algorithms that the Mail::DKIM of a host may lack are a file of their own in it.
PERL_KNOWS = "use Mail::DKIM::Algorithm::ed25519_sha256; 1"
VERIFIER_SECONDS_MAX = 60


class Dkimpy:
    name = "dkimpy"

    def __init__(self, records, _dns_port):
        self.records = records

    def knows(self, _algorithm):
        return True

    def passes(self, raw):
        import dkim

        def record(name, timeout=5):
            return self.records.get(name.decode().rstrip(".").lower(), "").encode() or None

        message = dkim.DKIM(raw)
        count = sum(1 for name, _ in message.headers if name.lower() == b"dkim-signature")
        try:
            return count > 0 and all(message.verify(idx=index, dnsfunc=record) for index in range(count))
        except dkim.DKIMException as error:
            print(f"      dkimpy: {error}")
            return False


class MailDkim:
    name = "mail-dkim"

    def __init__(self, _records, dns_port):
        self.environment = {**os.environ, "DNS_PORT": str(dns_port)}
        known = subprocess.run(["perl", "-e", PERL_KNOWS], capture_output=True)
        self.algorithms = {"rsa"} | ({"ed25519"} if known.returncode == 0 else set())

    def knows(self, algorithm):
        return algorithm in self.algorithms

    def passes(self, raw):
        run = subprocess.run(
            ["perl", "-e", PERL], input=raw, env=self.environment, capture_output=True, timeout=VERIFIER_SECONDS_MAX
        )
        if run.returncode != 0:
            raise RuntimeError(f"Mail::DKIM broke down: {run.stderr.decode()}")
        told = [one.split("=", 1) for one in run.stdout.decode().split(",") if one]
        results = [result for algorithm, result in told if algorithm.split("-")[0] in self.algorithms]
        return results != [] and all(result == "pass" for result in results)


class Opendkim:
    name = "opendkim"

    def __init__(self, records, _dns_port):
        self.records = records

    def knows(self, _algorithm):
        return True

    def passes(self, raw):
        with tempfile.TemporaryDirectory() as folder:
            with open(f"{folder}/keys", "w") as file:
                file.writelines(f"{name} {record}\n" for name, record in self.records.items())
            with open(f"{folder}/conf", "w") as file:
                file.write(f"Mode v\nTestPublicKeys {folder}/keys\nSyslog no\n")
            with open(f"{folder}/message", "wb") as file:
                file.write(raw)
            command = ["opendkim", "-x", f"{folder}/conf", "-t", f"{folder}/message", "-vv"]
            run = subprocess.run(command, capture_output=True, timeout=VERIFIER_SECONDS_MAX)
        told = (run.stdout + run.stderr).decode()
        results = re.findall(r"\bdkim=(\w+)", told)
        return results != [] and all(result == "pass" for result in results)


KNOWN = {verifier.name: verifier for verifier in (Dkimpy, MailDkim, Opendkim)}
