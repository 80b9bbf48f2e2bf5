# SPDX-License-Identifier: MIT
#
# agent-fpm in containers: docs/containers.md. Two images come of this file,
# both of the Debian package that it builds:
#
#	docker build --target pool -t agent-fpm .
#	docker build --target nginx -t agent-fpm-nginx .
#
# They share the folder /run/agent-fpm with the pool's socket, and nothing else.

FROM debian:trixie-slim AS build
RUN apt-get update && \
    apt-get install -y --no-install-recommends dpkg-dev
WORKDIR /build/src
# Dependencies first: they change less often than the source.
COPY debian/control debian/control
RUN apt-get build-dep -y --no-install-recommends ./
COPY . .
RUN dpkg-buildpackage -us -uc -b

FROM debian:trixie-slim AS pool
COPY --from=build /build/agent-fpm_*.deb /tmp/
# The user has a fixed number, so that secrets can be made readable for it. Its
# group is nginx's, www-data (33 in every Debian): so the socket is for both.
RUN groupadd --gid 10001 agent-fpm && \
    useradd --uid 10001 --gid 10001 --no-create-home \
        --home-dir /nonexistent --shell /usr/sbin/nologin agent-fpm && \
    apt-get update && \
    apt-get install -y --no-install-recommends libfcgi-bin \
        systemd-standalone-sysusers /tmp/agent-fpm_*.deb && \
    rm -rf /var/lib/apt/lists/* /tmp/agent-fpm_*.deb && \
    install -d -o 10001 -g 33 -m 0750 /run/agent-fpm
COPY containers/agent-fpm.conf /etc/agent-fpm/agent-fpm.conf
COPY containers/probe.sh /usr/local/bin/agent-fpm-probe
ENV CREDENTIALS_DIRECTORY=/run/secrets
USER 10001:33
VOLUME /run/agent-fpm
# QUIT: turns that run may end (drain_timeout). TERM would stop them at once.
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=10s --timeout=6s --start-period=20s \
    CMD ["agent-fpm-probe", "/live"]
CMD ["/usr/sbin/agent-fpm", "-F", "-c", "/etc/agent-fpm/agent-fpm.conf"]

FROM debian:trixie-slim AS nginx
RUN apt-get update && \
    apt-get install -y --no-install-recommends curl nginx && \
    rm -rf /var/lib/apt/lists/* /etc/nginx/sites-enabled/default
COPY --from=build /build/src/debian/agent-fpm/usr/share/agent-fpm/ \
    /usr/share/agent-fpm/
# The shipped site as it is. Its certificate is mounted where the site has it:
# /etc/letsencrypt/live/agents.example.org.
RUN cd /usr/share/agent-fpm/nginx && \
    cp agent-fpm-http.conf agent-fpm-fastcgi.conf agent-fpm-bridge.conf agent-fpm.snippet \
        /etc/nginx/snippets/ && \
    cp agent-fpm.conf /etc/nginx/conf.d/ && \
    ln -sf /dev/stdout /var/log/nginx/agent-fpm.access.log && \
    ln -sf /dev/stderr /var/log/nginx/agent-fpm.error.log && \
    ln -sf /dev/stderr /var/log/nginx/error.log
EXPOSE 80 443
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=10s --timeout=6s --start-period=20s \
    CMD ["curl", "-fsSk", "-o", "/dev/null", "https://localhost/live"]
CMD ["nginx", "-g", "daemon off; worker_shutdown_timeout 30s;"]
