"""One delivery by HTTP or HTTPS, within its time limit whatever the receiver does."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from serving.webhooks import delivery
from serving.webhooks.delivery import Delivery, send

NOW = datetime(2026, 7, 1, 9, tzinfo=UTC)
DEADLINE = 0.5
Serve = Callable[[Callable[[socket.socket], None]], str]


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = tmp_path / "certificate.pem", tmp_path / "key.pem"
    files[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, *plain))
    return files


@pytest.fixture(params=["http", "https"])
def serve(request: pytest.FixtureRequest, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start a receiver that handles one connection as given, and return its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []
    trusting = ssl.create_default_context(cafile=str(certificate[0]))
    monkeypatch.setattr(delivery, "_tls", lambda: trusting)

    def start(answer: Callable[[socket.socket], None]) -> str:
        def run() -> None:
            used, _ = listening.accept()
            with used:
                used.settimeout(10)
                try:
                    if request.param == "https":
                        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                        context.load_cert_chain(*certificate)
                        with context.wrap_socket(used, server_side=True) as wrapped:
                            answer(wrapped)
                    else:
                        answer(used)
                except OSError:
                    return

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return f"{request.param}://127.0.0.1:{listening.getsockname()[1]}/hook"

    yield start
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    listening.close()


def _read(wire: socket.socket) -> None:
    result = b""
    while not result.endswith(b"\r\n\r\n{}"):
        result += wire.recv(65536)


def _drip(wire: socket.socket, many: int = 400) -> None:
    for _ in range(many):
        wire.sendall(b"x")
        time.sleep(0.05)


def _send(url: str) -> int:
    return send(Delivery("d", "e", url, "whsec_" + "a" * 44, "alr_1", "{}", 0), NOW, True, total_timeout=DEADLINE)


def test_the_status_of_the_response_is_returned(serve: Serve) -> None:
    def answer(wire: socket.socket) -> None:
        _read(wire)
        wire.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    assert _send(serve(answer)) == 204


def test_a_slow_response_ends_with_the_total_timeout(serve: Serve) -> None:
    def answer(wire: socket.socket) -> None:
        _read(wire)
        wire.sendall(b"HTTP/1.1 ")
        _drip(wire)

    begun = time.monotonic()
    with pytest.raises((OSError, http.client.HTTPException)):
        _send(serve(answer))
    assert time.monotonic() - begun < DEADLINE + 5


@pytest.mark.parametrize("rest", [b"X-Slow: ", b"Content-Length: 100000\r\n\r\n"], ids=["headers", "body"])
def test_a_slow_body_ends_with_the_total_timeout(serve: Serve, rest: bytes) -> None:
    def answer(wire: socket.socket) -> None:
        _read(wire)
        wire.sendall(b"HTTP/1.1 202 Accepted\r\n" + rest)
        _drip(wire)

    begun = time.monotonic()
    assert _send(serve(answer)) == 202
    assert time.monotonic() - begun < DEADLINE + 5


def test_a_silent_receiver_times_out(serve: Serve) -> None:
    begun = time.monotonic()
    with pytest.raises((OSError, http.client.HTTPException)):
        _send(serve(lambda wire: _read(wire) or time.sleep(1)))
    assert time.monotonic() - begun < DEADLINE + 5
