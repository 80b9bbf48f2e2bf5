# SPDX-License-Identifier: MIT
"""An identity provider: publishes keys over real HTTP, signs tokens, and misbehaves when it is told to."""

import base64
import http.server
import json
import ssl
import threading
import time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from waiting import certificate


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(n, size=None):
    return b64url(n.to_bytes(size or (n.bit_length() + 7) // 8, "big"))


class Key:
    """A private key that signs, and its public half as a JWK."""

    def __init__(self, kid, alg="ES256"):
        self.kid, self.alg = kid, alg
        if alg[:2] in ("RS", "PS"):
            self.private = rsa.generate_private_key(65537, 2048)
            n = self.private.public_key().public_numbers()
            self.jwk = {"kty": "RSA", "n": number(n.n), "e": number(n.e)}
        elif alg == "EdDSA":
            self.private = ed25519.Ed25519PrivateKey.generate()
            raw = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
            self.jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64url(raw)}
        else:
            self.private = ec.generate_private_key(ec.SECP256R1())
            n = self.private.public_key().public_numbers()
            self.jwk = {"kty": "EC", "crv": "P-256", "x": number(n.x, 32), "y": number(n.y, 32)}
        self.jwk |= {"kid": kid, "alg": alg, "use": "sig"}

    def _signature(self, data):
        if self.alg == "RS256":
            return self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())
        if self.alg == "PS256":
            return self.private.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
        if self.alg == "EdDSA":
            return self.private.sign(data)
        r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def sign(self, claims, **header):
        head = {"alg": self.alg, "typ": "JWT", "kid": self.kid, **header}
        parts = [b64url(json.dumps({k: v for k, v in p.items() if v is not None}).encode()) for p in (head, claims)]
        return ".".join([*parts, b64url(self._signature(".".join(parts).encode()))])


class Issuer:
    def __init__(self, *keys):
        self.keys = list(keys)
        self.fetches = []  # paths
        self.respond = None  # what is sent instead: (status, headers, body)
        self.document = {}  # what the configuration has otherwise
        self.max_age = None
        self.hold = threading.Event()
        self.hold.set()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}/realm"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def _handler(self):
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.fetches.append(self.path)
                issuer.hold.wait(20)
                status, headers, body = issuer.respond or issuer._answer(self.path)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    pass  # it has heard enough

            def log_message(self, *_):
                pass

        return Handler

    def _answer(self, path):
        if path == "/realm/.well-known/openid-configuration":
            body = {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.document}
        elif path == "/realm/keys":
            body = {"keys": [k.jwk for k in self.keys]}
        else:
            return 404, {}, b""
        headers = {"Content-Type": "application/json"}
        if self.max_age is not None:
            headers["Cache-Control"] = f"public, max-age={self.max_age}"
        return 200, headers, json.dumps(body).encode()

    def secure(self):
        """By https from now on, with the certificate of the tests; before anybody asks."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate())
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://localhost:{self.server.server_port}/realm"

    def key_fetches(self):
        return self.fetches.count("/realm/keys")

    def token(self, sub="ann", key=0, audience="agents", **more):
        claims = {"iss": self.url, "sub": sub, "aud": audience, "exp": int(time.time()) + 3600, **more}
        return (key if isinstance(key, Key) else self.keys[key]).sign({k: v for k, v in claims.items() if v is not None})

    def close(self):
        self.hold.set()
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()
