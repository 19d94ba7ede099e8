#!/usr/bin/env python3
"""Reads every snapshot of the corpus with Python's own parser, and compares what it finds with the job's data.

It shares no code with Hikyaku, and takes nothing from the snapshots that the jobs do not say: subjects, names, addresses,
bodies, names and bytes of files, threads and lists have to come back exactly. README.md says how jobs are written.
"""

import base64
import email
import email.policy
import re
import sys
import tomllib
from email.header import decode_header, make_header
from email.parser import Parser
from email.utils import getaddresses
from pathlib import Path

CORPUS = Path(__file__).resolve().parent
LINE_BYTES_MAX = 998
WORD_BYTES_MAX = 75
COLUMNS_MAX = 78
JOB = "X-Hikyaku-Job"

# One cell of JIS X 0208 with two code points each: which of them a reader sees is the reader's choice.
TWINS = str.maketrans(
    {
        "\uff5e": "\u301c",
        "\u2225": "\u2016",
        "\u2015": "\u2014",
        "\uff0d": "\u2212",
        "\uffe0": "\u00a2",
        "\uffe1": "\u00a3",
        "\uffe2": "\u00ac",
        "\uffe5": "\u00a5",
        "\uffe3": "\u203e",
    }
)
ENCODED_WORD = re.compile(rb"=\?([A-Za-z0-9-]+)\?([BbQq])\?([^?\s]*)\?=")


class Wrong(Exception):
    pass


def words(value):
    """A text, or one that is too long to be written out."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(words(piece) for piece in value)
    return value["repeat"] * value["times"]


def file_bytes(value):
    if isinstance(value, dict) and "every_byte" in value:
        return bytes(range(256)) * value["every_byte"]
    return words(value).encode()


def mailboxes(value):
    if isinstance(value, dict):
        return [(f"{value['name']}{n}", f"reader{n}@example.jp") for n in range(value["count"])]
    return [(one.get("name", ""), one["address"]) for one in value]


def lines(text):
    """One kind of line end, and none at the end: that one is the part's."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text[:-1] if text.endswith("\n") else text


def same(what, found, expected):
    if found != expected:
        raise Wrong(f"{what}: {found!r:.300} is not {expected!r:.300}")


class Check:
    """One snapshot against its job."""

    def __init__(self, job, setting, raw):
        self.job, self.raw = job, raw
        self.reads = job.get(setting, {}).get("reads", {})
        self.message = email.message_from_bytes(raw, policy=email.policy.default)
        self.header = raw.split(b"\r\n\r\n", 1)[0] + b"\r\n"
        charset = "utf-8" if setting == "utf-8" else "iso-2022-jp"
        self.charset = self.reads.get("charset", charset)

    def seen(self, text):
        """A text as readers of this charset see it."""
        return text.translate(TWINS) if self.charset == "iso-2022-jp" else text

    def same_text(self, what, found, expected):
        same(what, self.seen(str(found)), self.seen(expected))

    def run(self):
        self.check_bytes()
        if "raw" in self.job:
            self.check_raw()
            return
        self.check_encoded_words()
        self.check_columns()
        self.check_header()
        self.check_own_headers()
        parts = self.parts()
        self.check_bodies(parts)
        self.check_files(parts)
        if "structure" in self.job:
            same("structure", structure(self.message), self.job["structure"])

    def check_bytes(self):
        raw = self.raw
        if re.search(rb"\r(?!\n)|(?<!\r)\n", raw) or not raw.endswith(b"\r\n"):
            raise Wrong("a bare CR or LF")
        longest = max(len(line) for line in raw.split(b"\r\n"))
        if longest > LINE_BYTES_MAX or b"\0" in raw:
            raise Wrong(f"a line of {longest} bytes, or a NUL")
        if any(byte > 127 for byte in raw) != self.job.get("eight_bit", False):
            raise Wrong("bytes beyond ASCII, or none where there should be")
        for _, address in mailboxes(self.job.get("bcc", [])):
            if address.encode() in raw:
                raise Wrong(f"Bcc shows {address}")
        if len(self.message.get_all(JOB, [])) != 1:
            raise Wrong(f"not exactly one {JOB}")

    def check_encoded_words(self):
        own = [value for _, value in self.job.get("headers", [])]
        for part in self.message.walk():
            header = part.as_bytes(policy=RAW).split(b"\n\n", 1)[0]
            for match in ENCODED_WORD.finditer(header):
                word = match[0].decode()
                if any(word in value for value in own):
                    continue
                if len(word) > WORD_BYTES_MAX:
                    raise Wrong(f"an encoded word of {len(word)} bytes")
                same("charset of a word", match[1].decode().lower(), self.charset)
                content = base64.b64decode(match[3], validate=True)
                # Strict: a character that is cut in two does not decode.
                content.decode(match[1].decode(), "strict")
                escapes = re.findall(rb"\x1b..", content)
                if escapes and escapes[-1] != b"\x1b(B":
                    raise Wrong(f"{word} does not end in ASCII")

    def check_columns(self):
        for line in self.header.split(b"\r\n"):
            word = line.lstrip()
            if len(line) > COLUMNS_MAX and b" " in word.split(b": ", 1)[-1]:
                raise Wrong(f"could be folded: {line!r}")
            if line and not word:
                raise Wrong("a blank line in the header")

    def check_header(self):
        job, message = self.job, self.message
        self.same_text("subject", message["subject"], self.reads.get("subject", words(job.get("subject", ""))))
        sender = [job.get("from", {"address": "shop@example.jp"})]
        self.check_mailboxes("from", sender, [self.reads["from_name"]] if "from_name" in self.reads else None)
        to = job.get("to", [{"address": "reader@example.jp"}])
        self.check_mailboxes("to", to, self.reads.get("to_names"))
        self.check_mailboxes("cc", job.get("cc", []), None)
        self.check_mailboxes("reply-to", job.get("reply_to", []), None)
        same("bcc", message["bcc"], None)
        same("mime-version", message["mime-version"], "1.0")
        same("date", message["date"].datetime.timestamp(), 1_700_000_000.0)
        if not re.fullmatch(r"<[^<>@ ]+@[^<>@ ]+>", message["message-id"]):
            raise Wrong(f"message-id: {message['message-id']!r}")

    def check_mailboxes(self, name, written, names):
        expected = mailboxes(written)
        if names is not None:
            expected = [(name, address) for name, (_, address) in zip(names, expected, strict=True)]
        field = self.unfolded(RAW_PARSER.parsestr(self.header.decode())[name]) or ""
        # The new parser of Python 3.11 leaves the spaces between encoded words in names.
        found = [(str(make_header(decode_header(one))), address) for one, address in getaddresses([field])]
        same(f"{name} addresses", [one for _, one in found], [one for _, one in expected])
        same(f"{name} names", [self.seen(one) for one, _ in found], [self.seen(one) for one, _ in expected])
        if len(self.message.get_all(name, [])) != (1 if expected else 0):
            raise Wrong(f"not exactly one {name}")

    def check_own_headers(self):
        job, message = self.job, self.message
        own = [name for name, _ in job.get("headers", [])]
        values = self.reads.get("header_values", [value for _, value in job.get("headers", [])])
        for name in dict.fromkeys(own):
            found = [self.unfolded(value) for value in message.get_all(name)]
            expected = [value for other, value in zip(own, values, strict=True) if other == name]
            same(name, [self.seen(one) for one in found], [self.seen(self.decoded(one)) for one in expected])
        answered = bracketed(job.get("in_reply_to", ""))
        references = [bracketed(one) for one in job.get("references", [])]
        if answered and references[-1:] != [answered]:
            references.append(answered)
        if "In-Reply-To" not in own:
            same("in-reply-to", self.unfolded(message["in-reply-to"]), answered)
            same("references", (self.unfolded(message["references"]) or "").split(), references)
        if "Auto-Submitted" not in own:
            auto = job.get("auto_submitted")
            same("auto-submitted", message["auto-submitted"], f"auto-{auto}" if auto else None)
        if "List-Unsubscribe" not in own:
            self.check_list(job.get("list_unsubscribe", {}))

    @staticmethod
    def unfolded(value):
        return None if value is None else re.sub(r"\r?\n(?=[ \t])", "", str(value))

    @staticmethod
    def decoded(value):
        """What a reader sees of a value that the client encoded itself."""
        return str(email.policy.default.header_factory("X-Any", value))

    def check_list(self, leaving):
        places = [leaving["url"]] if "url" in leaving else []
        places += [f"mailto:{leaving['mailto']}"] if "mailto" in leaving else []
        field = self.unfolded(self.message["list-unsubscribe"])
        same("list-unsubscribe", re.findall(r"<([^<>]*)>", field or ""), places)
        post = "List-Unsubscribe=One-Click" if leaving.get("one_click") else None
        same("list-unsubscribe-post", self.message["list-unsubscribe-post"], post)

    def parts(self):
        """All parts that have no parts of their own; a message inside counts as one."""
        found, open_parts = [], [self.message]
        while open_parts:
            part = open_parts.pop(0)
            if part.get_content_maintype() == "multipart":
                same("preamble", (part.preamble or "").strip(), "")
                root = "text/html" if part.get_content_subtype() == "related" else None
                same("type of the root", part["content-type"].params.get("type"), root)
                open_parts = list(part.iter_parts()) + open_parts
            else:
                found.append(part)
        return found

    def check_bodies(self, parts):
        job, reads = self.job, self.reads
        bodies = [part for part in parts if part.get_content_disposition() is None]
        html = words(job.get("html", ""))
        text = words(job.get("text", ""))
        if html and not text and "text" not in reads:
            raise Wrong("the job does not say which text its HTML becomes")
        expected = [("plain", reads.get("text", text))] + ([("html", reads.get("html", html))] if html else [])
        same("bodies", [part.get_content_subtype() for part in bodies], [subtype for subtype, _ in expected])
        for part, (subtype, written) in zip(bodies, expected):
            same("charset", part.get_content_charset(), self.charset)
            content = part.get_payload(decode=True).decode(part.get_content_charset(), "strict")
            self.same_text(subtype, lines(content), lines(written))
            encoding = part["content-transfer-encoding"]
            if encoding not in ("7bit", "quoted-printable", "base64"):
                raise Wrong(f"encoding {encoding}")

    def check_files(self, parts):
        files = list(self.job.get("attachments", []))
        names = self.reads.get("file_names", [one["file_name"] for one in files])
        files = [{**one, "file_name": name} for one, name in zip(files, names, strict=True)]
        has_html = "html" in self.job
        files.sort(key=lambda one: not (has_html and one.get("content_id")))
        found = [part for part in parts if part.get_content_disposition() is not None]
        same("files", len(found), len(files))
        for part, file in zip(found, files):
            is_inline = has_html and "content_id" in file
            same("disposition", part.get_content_disposition(), "inline" if is_inline else "attachment")
            content_id = f"<{file['content_id'].strip('<>')}>" if is_inline else None
            same("content-id", part["content-id"], content_id)
            # The standard's form, and that of older clients.
            self.same_text("filename", part["content-disposition"].params["filename"], file["file_name"])
            self.same_text("name", part["content-type"].params["name"], file["file_name"])
            media_type = file.get("media_type", "application/octet-stream").split(";")[0].lower()
            same("media type", part.get_content_type(), media_type)
            self.check_content(part, file)

    def check_content(self, part, file):
        expected = file_bytes(file["content"])
        if part.get_content_maintype() == "message":
            text = lines(expected.decode()).replace("\n", "\r\n")
            if b"\r\n\r\n" + text.encode() + b"\r\n" not in self.raw:
                raise Wrong("the message inside is not as it was")
            same("subject inside", part.get_payload(0)["subject"], "inner")
        else:
            same("bytes", part.get_payload(decode=True), expected)

    def check_raw(self):
        """What was there is there, in its order, but for the fields that must not be."""
        text = re.sub("\r\n|\r|\n", "\r\n", words(self.job["raw"]))
        text = text if text.endswith("\r\n") else text + "\r\n"
        header, _, body = text.partition("\r\n\r\n")
        fields = re.split(r"\r\n(?![ \t])", header.removesuffix("\r\n"))
        dropped = ("bcc:", "resent-bcc:", "x-hikyaku-job:")
        fields = [field for field in fields if not field.lower().startswith(dropped)]
        tail = "".join(field + "\r\n" for field in fields) + "\r\n" + body
        if not self.raw.endswith(tail.encode()):
            raise Wrong("what the client wrote is changed")
        added = self.raw[: -len(tail.encode())].decode().split("\r\n")[:-1]
        names = [line.split(":")[0] for line in added]
        own = [field.split(":")[0].lower() for field in fields]
        same("added", names, [JOB] + [one for one in ("Date", "Message-ID") if one.lower() not in own])
        for name in ("bcc", "resent-bcc"):
            same(name, self.message[name], None)


# To see the header of a part as it stands.
RAW = email.policy.compat32.clone(max_line_length=0)
RAW_PARSER = Parser(policy=RAW)


def bracketed(message_id):
    return f"<{message_id.strip('<>')}>" if message_id else None


def structure(part):
    kind = part.get_content_type()
    if part.get_content_maintype() == "multipart":
        return f"{part.get_content_subtype()}({' '.join(structure(one) for one in part.iter_parts())})"
    return part.get_content_subtype() if part.get_content_disposition() is None else kind


def main():
    checked, wrong, expected = 0, [], set()
    for theme in sorted((CORPUS / "jobs").glob("*.toml")):
        for job in tomllib.loads(theme.read_text(encoding="utf-8"))["job"]:
            for setting in job.get("charsets", ["utf-8"]):
                if "refused" in job or "refused" in job.get(setting, {}):
                    continue
                snapshot = CORPUS / "snapshots" / theme.stem / f"{job['name']}.{setting}.eml"
                expected.add(snapshot)
                try:
                    Check(job, setting, snapshot.read_bytes()).run()
                except Exception as error:
                    wrong.append(f"{theme.stem}/{job['name']}.{setting}: {type(error).__name__}: {error}")
                checked += 1
    stray = set((CORPUS / "snapshots").rglob("*.eml")) - expected
    wrong += [f"{one.relative_to(CORPUS)} belongs to no job" for one in sorted(stray)]
    print("\n".join(wrong), file=sys.stderr)
    print(f"{checked} messages checked, {len(wrong)} mistakes")
    return 1 if wrong or checked < 200 else 0


if __name__ == "__main__":
    sys.exit(main())
