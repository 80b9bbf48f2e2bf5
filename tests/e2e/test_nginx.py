# SPDX-License-Identifier: MIT
"""The files for nginx in the layout they are for, /etc/nginx in a folder of the test's: the complete site, and the snippet in a vhost
that was there before. Nothing in them is changed but ports, certificates, and the folders of the host."""

import contextlib
import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess

import pytest
from stack import ROOT, Response, Stack, certificate, free_ports, scaled, wait_for

NAME = "agents.example.org"
SNIPPETS = ("agent-fpm-http.conf", "agent-fpm.snippet", "agent-fpm-fastcgi.conf", "agent-fpm-bridge.conf")
MAIN = """%spid "{0}/pid"; error_log "{0}/error.log" warn; worker_processes 2; events {{ worker_connections 1024; }}
http {{
client_body_temp_path "{0}/t1"; fastcgi_temp_path "{0}/t2"; proxy_temp_path "{0}/t3"; scgi_temp_path "{0}/t4"; uwsgi_temp_path "{0}/t5";
types {{ text/html html; text/javascript js; text/css css; }}
include conf.d/*.conf;
}}
""" % ("user root; " if os.geteuid() == 0 else "")
VHOST = """include snippets/agent-fpm-http.conf;
server {
	listen 443 ssl http2;
	server_name shop.example.org;
	ssl_certificate /etc/letsencrypt/live/agents.example.org/fullchain.pem;
	ssl_certificate_key /etc/letsencrypt/live/agents.example.org/privkey.pem;
	location / { return 200 "the shop"; }
	location ~ \\.php$ { return 200 "the shop's program"; }
	location ~ ^/(api|health) { return 200 "the shop's too"; }
	include snippets/agent-fpm.snippet;
}
"""
TLS = ssl.create_default_context()
TLS.check_hostname, TLS.verify_mode = False, ssl.CERT_NONE


def has_ipv6():
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


def lay_out(stack, site):
    """Writes it below stack.dir; its nginx.conf. site: a file of nginx/, or the text of a vhost."""
    folder = stack.path("nginx")
    os.makedirs(folder)
    shutil.copytree(os.path.join(ROOT, "www"), stack.path("www"))
    stack.https_port, stack.http_port = free_ports(2)
    cert, key = certificate()
    changes = [
        (r"listen (\[::\]:)?443\b", lambda m: f"listen {'[::1]:' if m[1] else '127.0.0.1:'}{stack.https_port}"),
        (r"listen (\[::\]:)?80\b", lambda m: f"listen {'[::1]:' if m[1] else '127.0.0.1:'}{stack.http_port}"),
        (r"/etc/letsencrypt/live/\S+/fullchain.pem", cert), (r"/etc/letsencrypt/live/\S+/privkey.pem", key),
        ("/var/log/nginx/", f"{folder}/"), ("/var/www/html", stack.path("html")), ("/usr/share/agent-fpm/www/", stack.path("www") + "/"),
        ("/run/agent-fpm/agent-fpm.sock", stack.fcgi_path),
    ] + ([] if has_ipv6() else [(r"\n\tlisten \[::1\].*", "")])

    def write(name, text):
        for old, new in changes:
            text = re.sub(old, new, text)
        stack.write(f"etc/{name}", text)

    def shipped(name):
        with open(os.path.join(ROOT, "nginx", name), encoding="utf-8") as f:
            return f.read()

    for name in SNIPPETS:
        write(f"snippets/{name}", shipped(name))
    write("agent-fpm-runner.tokens", '"~^Bearer 0123456789abcdef$" 1;\n')
    write("conf.d/site.conf", site if "\n" in site else shipped(site))
    return stack.write("etc/nginx.conf", MAIN.format(folder))


def nginx(stack, conf, *args):
    return ["nginx", "-p", stack.path("nginx"), "-c", conf, "-e", stack.path("nginx", "error.log"), *args]


@contextlib.contextmanager
def running(stack, site):
    conf = lay_out(stack, site)
    process = subprocess.Popen(nginx(stack, conf, "-g", "daemon off;"), stdin=subprocess.DEVNULL)
    try:
        wait_for(lambda: socket.socket().connect_ex(("127.0.0.1", stack.https_port)) == 0, 10, lambda: f"nginx does not come up\n{stack.tails()}")
        yield stack
    finally:
        process.terminate()
        process.wait(scaled(20))


@pytest.fixture(scope="module")
def site():
    with Stack(workers=1, without_nginx=True, conf={"limits.viewers_per_user": 0}) as stack, running(stack, "agent-fpm.conf"):
        yield stack


def is_problem(got, status, **members):
    assert got.status == status, got
    assert got.headers["Content-Type"] == "application/problem+json" and got.headers["X-Request-Id"] == got.json["requestId"]
    assert got.json["status"] == status and all(got.json.get(k) == v for k, v in members.items()), got


def is_refused(got):
    is_problem(got, 429, error="limit", limit="nginx")
    assert int(got.headers["Retry-After"]) > 0


def connect(site, plain=False, source="127.0.0.1"):
    """source: what nginx counts by. Each test of a limit has addresses of its own."""
    sock = socket.create_connection(("127.0.0.1", site.http_port if plain else site.https_port), scaled(20), (source, 0))
    return sock if plain else TLS.wrap_socket(sock, server_hostname="localhost")


def raw(sock, request):
    """What is answered to these bytes, whole."""
    sock.sendall(request)
    response = http.client.HTTPResponse(sock)
    response.begin()
    return Response(response.status, response.headers, response.read())


def ask(site, path, *headers, method="GET", host=NAME, user=None, **where):
    with connect(site, **where) as sock:
        return raw(sock, request(path, *headers, method=method, host=host, user=user))


def request(path, *headers, method="GET", host=NAME, user=None):
    more = [f"Authorization: Bearer {user.token}"] if user else []
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *more, *headers, "", ""]).encode()


@pytest.mark.parametrize("layout", ["agent-fpm.conf", "runner.conf", VHOST], ids=["site", "runner", "vhost"])
def test_nginx_takes_them(stack_factory, layout):
    """nginx -t, without a word but that of 1.25 and later on "listen ... http2"."""
    stack = stack_factory(start=False, without_nginx=True)
    got = subprocess.run(nginx(stack, lay_out(stack, layout), "-t"), capture_output=True, text=True, timeout=scaled(20))
    said = [line for line in got.stderr.splitlines() if "[" in line and 'the "listen ... http2" directive is deprecated' not in line]
    assert got.returncode == 0 and not said, got.stderr


def test_plain_http_is_led_to_https(site):
    """By 308, so that a POST stays one; but for what certbot puts there."""
    for method in "GET", "POST":
        got = ask(site, "/api/agents?limit=2", method=method, plain=True)
        assert (got.status, got.headers["Location"]) == (308, f"https://{NAME}/api/agents?limit=2")
    os.chmod(site.write("html/.well-known/acme-challenge/a", "the answer"), 0o644)
    got = ask(site, "/.well-known/acme-challenge/a", plain=True)
    assert (got.status, got.body) == (200, b"the answer")
    with socket.create_connection(("127.0.0.1", site.https_port), scaled(10)) as sock:
        got = raw(sock, request("/api"))
        assert (got.status, got.headers["Location"]) == (308, f"https://{NAME}/api"), "plain HTTP to the other port"


@pytest.mark.skipif(not has_ipv6(), reason="there is no IPv6 here")
def test_ipv6(site):
    with socket.create_connection(("::1", site.http_port), scaled(10)) as sock:
        assert raw(sock, request("/")).status == 308
    with socket.create_connection(("::1", site.https_port), scaled(10)) as sock, TLS.wrap_socket(sock) as inner:
        assert raw(inner, request("/health")).status == 200


def test_hsts(site):
    """Over TLS, of the API, of the page and of the pool's refusals; not for localhost, and not without TLS."""
    user = site.user()
    for path, status in ("/api/agents", 200), ("/", 200), ("/agent-fpm/app.js", 200), ("/health", 200), ("/api/nothing", 404):
        got = ask(site, path, user=user)
        assert (got.status, got.headers["Strict-Transport-Security"]) == (status, "max-age=63072000"), path
        got = ask(site, path, user=user, host="localhost")
        assert (got.status, got.headers["Strict-Transport-Security"]) == (status, None), path
    assert ask(site, "/", plain=True).headers["Strict-Transport-Security"] is None


def tls(site, version):
    """The version that was agreed on."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")  # else this end would refuse 1.1 by itself
    context.minimum_version = context.maximum_version = version
    with socket.create_connection(("127.0.0.1", site.https_port), scaled(10)) as sock, context.wrap_socket(sock) as inner:
        return inner.version()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_tls_versions(site):
    assert tls(site, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    assert tls(site, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    with pytest.raises(ssl.SSLError) as refused:
        tls(site, ssl.TLSVersion.TLSv1_1)
    assert "ALERT_PROTOCOL_VERSION" in refused.value.reason, "it is the server that refuses"


def test_refusals_before_there_is_a_path(site):
    """Headers that are malformed or too long: the API's own words."""
    for sent in (b"GET /api/agents HTTP/1.1\r\n\r\n", request("/", "Host: b"), b"nonsense\r\n\r\n", request("/", "Content-Length: x")):
        with connect(site) as sock:
            is_problem(raw(sock, sent), 400, error="bad-request")
    is_problem(ask(site, "/", "X: " + "x" * 13000), 431, error="too-large", limit="large_client_header_buffers")


def refused_after(site, source, user=None, path="/health", status=200):
    """How many requests, one after the other, are answered so until one is not; that one."""
    with connect(site, source=source) as sock:
        for n in range(990):  # keepalive_requests
            got = raw(sock, request(path, user=user))
            if got.status != status:
                return n, got
    return 990, None


def test_too_many_requests_of_nobody(site):
    """10 in a second, and 100 at once, by address; who waits as long as was said is served again."""
    n, got = refused_after(site, "127.0.0.2")
    is_refused(got)
    assert 100 < n < 200
    assert ask(site, "/health", user=site.user(), source="127.0.0.2").status == 200, "it was not for those with a token"
    assert ask(site, "/health", source="127.0.0.3").status == 200
    wait_for(lambda: ask(site, "/health", source="127.0.0.2").status == 200, int(got.headers["Retry-After"]), "no request is let in again")


def test_too_many_requests_with_a_token(site):
    """50 in a second, and 200 at once, from wherever; others with a token are not held up."""
    busy = site.user()
    n, got = refused_after(site, "127.0.0.4", busy)
    is_refused(got)
    assert 200 < n < 400
    assert refused_after(site, "127.0.0.5", busy)[0] < 150, "the address makes no difference"
    assert ask(site, "/api/agents", user=site.user(), source="127.0.0.4").status == 200
    wait_for(lambda: ask(site, "/health", user=busy).status == 200, int(got.headers["Retry-After"]), "no request is let in again")


def test_too_many_requests_from_an_address(site):
    """100 in a second, and 400 at once, also where none but these are counted: of the gateway, which does not run."""
    n, got = refused_after(site, "127.0.0.6", path="/ws", status=503)
    is_refused(got)
    assert 400 < n < 800
    assert refused_after(site, "127.0.0.6", site.user())[0] < 200, "a token makes no difference"
    assert ask(site, "/health", user=site.user(), source="127.0.0.7").status == 200


def test_too_many_streams(site):
    """64 with a token, 128 from an address; a place is free when one has ended. What is no stream is not counted."""
    agents = [site.user().agent() for _ in range(3)]

    def stream(agent, source="127.0.0.8"):
        sock = connect(site, source=source)
        sock.sendall(request(f"{agent.path}/events", user=agent.user))
        response = http.client.HTTPResponse(sock)
        response.begin()
        return sock, response

    def refuses(agent, source="127.0.0.8"):
        sock, response = stream(agent, source)
        with sock, response:
            if response.status == 200:
                return False
            is_refused(Response(response.status, response.headers, response.read()))
            return True

    with contextlib.ExitStack() as streams:
        for n in range(128):
            sock, response = stream(agents[n // 64])
            streams.enter_context(sock)
            assert response.status == 200
            if n == 63:
                assert refuses(agents[0]) and refuses(agents[0], "127.0.0.9")
        assert refuses(agents[2]) and not refuses(agents[2], "127.0.0.9")
        assert ask(site, agents[0].path, user=agents[0].user, source="127.0.0.8").status == 200
        response.close()
        sock.close()
        wait_for(lambda: not refuses(agents[2]), 5, "the place of a stream that ended is not free")


def test_a_vhost_that_was_there_before(stack_factory):
    """Its own locations, also those with expressions, keep what is theirs and get nothing of the API."""
    with running(stack_factory(workers=1, without_nginx=True), VHOST) as stack:
        user = stack.user()
        assert user.agent().answer("hi") == "echo: hi"
        for path, body in ("/", b"the shop"), ("/cart.php", b"the shop's program"), ("/apiary", b"the shop's too"):
            got = ask(stack, path)
            assert (got.status, got.body) == (200, body), path
        is_problem(ask(stack, "/api/cart.php", user=user), 404)
        assert ask(stack, "/agent-fpm-400").status == 404
        assert ask(stack, "/health").json["status"] == "ok"
        page = ask(stack, "/agent-fpm/")
        assert page.status == 200 and b"<html" in page.body and "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert ask(stack, "/agent-fpm/app.js").headers["Content-Type"] == "text/javascript"
        is_refused(refused_after(stack, "127.0.0.2")[1])
