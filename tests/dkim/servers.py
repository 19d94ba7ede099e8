"""A mail server that keeps what it is given, and a name server that tells records: both on loopback, on free ports."""

import socket
import socketserver
import threading

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset


class Sink:
    """Keeps each message as it came, with its dots taken off, by the address of its first recipient."""

    def __init__(self):
        self.messages = {}
        self.arrived = threading.Condition()
        sink = self

        class Session(socketserver.StreamRequestHandler):
            def handle(self):
                sink.talk(self.rfile, self.wfile)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Session)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def talk(self, lines, out):
        recipient = None
        out.write(b"220 sink.test ESMTP\r\n")
        while line := lines.readline():
            verb = line[:4].upper()
            if verb == b"EHLO":
                out.write(b"250-sink.test\r\n250-8BITMIME\r\n250 SIZE 50000000\r\n")
            elif verb == b"RCPT":
                recipient = recipient or line.split(b"<")[1].split(b">")[0].decode()
                out.write(b"250 2.1.5 fine\r\n")
            elif verb == b"DATA":
                out.write(b"354 go on\r\n")
                self.keep(recipient, lines)
                recipient = None
                out.write(b"250 2.0.0 kept\r\n")
            elif verb == b"QUIT":
                out.write(b"221 2.0.0 bye\r\n")
                return
            else:
                out.write(b"250 2.0.0 fine\r\n")

    def keep(self, recipient, lines):
        message = []
        while (line := lines.readline()) not in (b".\r\n", b""):
            message.append(line[1:] if line.startswith(b".") else line)
        with self.arrived:
            self.messages[recipient] = b"".join(message)
            self.arrived.notify_all()

    def wait(self, recipient, seconds):
        with self.arrived:
            if not self.arrived.wait_for(lambda: recipient in self.messages, seconds):
                raise TimeoutError(f"no message for {recipient} within {seconds} s")
            return self.messages[recipient]


class NameServer:
    """Answers questions for TXT records from a table, which may change."""

    def __init__(self, records):
        self.records = records
        self.port = self._bind()
        for serve in (self._serve_packets, self._serve_streams):
            threading.Thread(target=serve, daemon=True).start()

    def _bind(self):
        # Long answers come over TCP: both sockets need one port.
        for _ in range(50):
            self.packets = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.packets.bind(("127.0.0.1", 0))
            port = self.packets.getsockname()[1]
            self.streams = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                self.streams.bind(("127.0.0.1", port))
                self.streams.listen()
                return port
            except OSError:
                self.packets.close()
        raise OSError("no port is free for both UDP and TCP")

    def _answer(self, packet):
        question = dns.message.from_wire(packet)
        answer = dns.message.make_response(question, recursion_available=True)
        asked = question.question[0]
        record = self.records.get(asked.name.to_text(omit_final_dot=True).lower())
        if record and asked.rdtype == dns.rdatatype.TXT:
            strings = [record[at : at + 255] for at in range(0, len(record), 255)]
            text = " ".join(f'"{string}"' for string in strings)
            answer.answer.append(dns.rrset.from_text(asked.name, 1, "IN", "TXT", text))
        return answer

    def _serve_packets(self):
        while True:
            packet, client = self.packets.recvfrom(65535)
            answer = self._answer(packet)
            wire = answer.to_wire(max_size=65535)
            if len(wire) > 512:
                answer.answer.clear()
                answer.flags |= dns.flags.TC
                wire = answer.to_wire()
            self.packets.sendto(wire, client)

    def _serve_streams(self):
        while True:
            client, _ = self.streams.accept()
            with client, client.makefile("rb") as lines:
                length = int.from_bytes(lines.read(2), "big")
                if length:
                    wire = self._answer(lines.read(length)).to_wire(max_size=65535)
                    client.sendall(len(wire).to_bytes(2, "big") + wire)
