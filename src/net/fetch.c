/* SPDX-License-Identifier: MIT */
/*
 * libcurl on the loop.
 *
 * curl_multi_socket_action is told of each ready socket; the bytes go to the
 * decoder from within curl's write callback, so nothing is copied and no
 * other thread is woken. curl knows timeouts for connecting and for the
 * whole; first byte and silence are watched here, by one coarse timer over
 * all transfers. Easy handles are kept and reset: a new one costs 20
 * allocations.
 *
 * A transfer that ended is told to its owner after curl returned, never from
 * inside of curl: the owner may start the next one at once.
 */
#include "config.h"

#include <curl/curl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "net/address.h"
#include "net/fetch.h"
#include "net/fetch_body.h"

#define IDLE_HANDLES_MAX 64
#define KEPT_CONNECTIONS 512
#define WATCH_EVERY_MS 100
#define STOOD_STILL_MS 300 /* what the watch may be late */
#define RECEIVE_BUFFER 16384

struct fetcher {
	struct loop *loop;
	CURLM *multi;
	struct loop_timer *timer; /* curl's */
	struct loop_timer *watch; /* ours: first byte, silence */
	int watching;
	int64_t watched_ms; /* when it looked last */
	CURL *idle[IDLE_HANDLES_MAX];
	int idle_count;
	struct fetch *running;
	int inside;  /* of on_body: curl takes no other request there */
	int waiting; /* requests that were started there */
	struct watch **watches; /* by descriptor */
	int watches_size;
};

/*
 * A socket of curl's. That of a connection that stands is watched until it is
 * closed: curl forgets it between two requests and would have it watched
 * anew; the watch stays instead, which saves four system calls a request.
 * Others are of threads that resolve names, or not connected yet: curl may
 * close those without a word (7.88 does, when a request is given up meanwhile),
 * so their watches end when curl wants nothing of them.
 */
struct watch {
	struct fetcher *fetcher;
	struct loop_io *io;
	curl_socket_t fd;
	int events;           /* that curl wants; 0: it is idle */
	int polled;           /* that the loop was asked for */
	struct fetch *opener; /* whose connection it is to become */
	int connection;
};

struct fetch {
	struct fetcher *fetcher;
	struct fetch *next, **prev;
	CURL *easy;
	struct curl_slist *headers;
	int64_t first_byte_ms, idle_ms;
	int64_t last_ms; /* when something last arrived, or it started */
	int began;       /* the body did */
	int sent, once;
	int opened;     /* a socket, and is not connected yet */
	int waits;      /* for curl to return */
	struct err err; /* why on_body gave up, or no socket was opened */
	const struct networks *networks;
	struct fetch_body body; /* of the request */
	struct fetch_head head;
	int (*on_body)(void *, const struct fetch_head *, const char *, size_t,
	    struct err *);
	void (*on_end)(void *, const struct fetch_end *);
	void *ctx;
	char curl_text[CURL_ERROR_SIZE];
};

/* A response header that is kept, and where. */
struct kept_header {
	const char *name;
	size_t offset, size;
};

#define KEPT(n, f)                                                             \
	{                                                                      \
		n, offsetof(struct fetch_head, f),                             \
		    sizeof(((struct fetch_head *)0)->f)                        \
	}

static const struct kept_header kept_headers[] = {
	KEPT("retry-after", retry_after),
	KEPT("retry-after-ms", retry_after_ms),
	KEPT("date", date),
	KEPT("strict-transport-security", hsts),
	KEPT("x-should-retry", should_retry),
	KEPT("request-id", request_id),
	KEPT("x-request-id", request_id),
	KEPT("content-type", content_type),
	KEPT("mcp-session-id", mcp_session),
	KEPT("cache-control", cache_control),
};

static void fetcher_reap(struct fetcher *f);

const char *
fetch_library(void)
{
	static char text[96];

	snprintf(text, sizeof(text), "libcurl %s",
	    curl_version_info(CURLVERSION_NOW)->version);
	return text;
}

int
fetch_has_http2(void)
{
	return (curl_version_info(CURLVERSION_NOW)->features &
		   CURL_VERSION_HTTP2) != 0;
}

/* ---- curl's callbacks ---- */

static size_t
on_header(char *line, size_t size, size_t n, void *arg)
{
	struct fetch *r = arg;
	size_t len = size * n, name_len;
	const char *colon = memchr(line, ':', len), *v, *end = line + len;

	r->last_ms = loop_now_ms(r->fetcher->loop);
	if (colon == NULL)
		return len;
	name_len = (size_t)(colon - line);
	for (v = colon + 1; v < end && (*v == ' ' || *v == '\t'); v++)
		continue;
	while (end > v && (end[-1] == '\r' || end[-1] == '\n'))
		end--;
	for (size_t i = 0; i < sizeof(kept_headers) / sizeof(*kept_headers);
	     i++) {
		const struct kept_header *k = &kept_headers[i];

		if (strlen(k->name) == name_len &&
		    strncasecmp(k->name, line, name_len) == 0)
			snprintf((char *)&r->head + k->offset, k->size, "%.*s",
			    (int)(end - v), v);
	}
	return len;
}

static size_t
on_write(char *data, size_t size, size_t n, void *arg)
{
	struct fetch *r = arg;
	size_t len = size * n;
	long status = 0;
	int rc;

	r->last_ms = loop_now_ms(r->fetcher->loop);
	if (!r->began) {
		r->began = 1;
		curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
		r->head.status = (int)status;
	}
	r->fetcher->inside = 1;
	rc = r->on_body(r->ctx, &r->head, data, len, &r->err);
	r->fetcher->inside = 0;
	return rc < 0 ? 0 : len; /* 0: CURLE_WRITE_ERROR */
}

static void
watch_poll(struct watch *w, int events)
{
	if (events == w->polled)
		return;
	w->polled = events;
	loop_io_want(w->io, events);
}

static void
on_socket_ready(void *arg, int events)
{
	struct watch *w = arg;
	struct fetcher *f = w->fetcher; /* curl may close the socket */
	int what = 0, running;

	if (w->events == 0) { /* the server closed an idle connection */
		watch_poll(w, 0);
		return;
	}
	if (events & LOOP_READ)
		what |= CURL_CSELECT_IN;
	if (events & LOOP_WRITE)
		what |= CURL_CSELECT_OUT;
	curl_multi_socket_action(f->multi, w->fd, what, &running);
	fetcher_reap(f);
}

static struct watch **
watch_slot(struct fetcher *f, curl_socket_t fd)
{
	int size = f->watches_size == 0 ? 64 : f->watches_size;

	while (size <= fd)
		size *= 2;
	if (size > f->watches_size) {
		f->watches =
		    realloc(f->watches, (size_t)size * sizeof(*f->watches));
		if (f->watches == NULL)
			abort();
		memset(f->watches + f->watches_size, 0,
		    (size_t)(size - f->watches_size) * sizeof(*f->watches));
		f->watches_size = size;
	}
	return &f->watches[fd];
}

static struct watch *
watch_get(struct fetcher *f, curl_socket_t fd)
{
	struct watch **slot = watch_slot(f, fd), *w = *slot;

	if (w != NULL)
		return w;
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		abort();
	w->fetcher = f;
	w->fd = fd;
	w->io = loop_io_new(f->loop, "fetch", fd, on_socket_ready, w);
	if (w->io == NULL) {
		free(w);
		return NULL;
	}
	*slot = w;
	return w;
}

static void
watch_end(struct watch **slot)
{
	if (*slot == NULL)
		return;
	loop_io_free(&(*slot)->io);
	free(*slot);
	*slot = NULL;
}

/* curl wants a socket for an address it has found. */
static curl_socket_t
on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct fetch *r = arg;
	char text[NI_MAXHOST] = "?";
	struct watch *w;
	int fd;

	(void)purpose;
	if (r->networks != NULL && !networks_admit(r->networks, &a->addr)) {
		getnameinfo(&a->addr, a->addrlen, text, sizeof(text), NULL, 0,
		    NI_NUMERICHOST);
		err_set(&r->err, ERR_FORBIDDEN,
		    "the address %s is not public, and not in tool.networks",
		    text);
		return CURL_SOCKET_BAD;
	}
	fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
	if (fd < 0)
		return CURL_SOCKET_BAD;
	watch_end(watch_slot(r->fetcher, fd)); /* of one that is closed */
	w = watch_get(r->fetcher, fd);
	if (w != NULL) {
		w->opener = r;
		r->opened = 1;
	}
	return fd;
}

/* What it has opened is a connection now, or will be none of its. */
static void
opened_settle(struct fetch *r, int stands)
{
	struct fetcher *f = r->fetcher;

	if (!r->opened)
		return;
	r->opened = 0;
	for (int fd = 0; fd < f->watches_size; fd++) {
		struct watch *w = f->watches[fd];

		if (w == NULL || w->opener != r)
			continue;
		w->opener = NULL;
		w->connection = stands;
	}
}

/* curl has a connection and is about to send the request, or does it again. */
static int
on_send(void *arg, char *ip, char *own_ip, int port, int own_port)
{
	struct fetch *r = arg;

	(void)ip;
	(void)own_ip;
	(void)port;
	(void)own_port;
	if (r->sent && r->once) {
		err_set(&r->err, ERR_MODEL,
		    "the connection broke before an answer came");
		return CURL_PREREQFUNC_ABORT;
	}
	r->sent = 1;
	opened_settle(r, 1);
	return CURL_PREREQFUNC_OK;
}

/* curl closes a socket: its watch goes first. */
static int
on_close_socket(void *arg, curl_socket_t fd)
{
	watch_end(watch_slot(arg, fd));
	return close(fd);
}

/* curl wants nothing of a socket now. */
static void
watch_forget(struct watch **slot)
{
	if (*slot == NULL)
		return;
	if ((*slot)->connection)
		(*slot)->events = 0; /* it keeps being polled as it was */
	else
		watch_end(slot);
}

/* curl says which events of a socket it wants to know of. */
static int
on_want(CURL *easy, curl_socket_t fd, int what, void *arg, void *sock)
{
	struct fetcher *f = arg;
	struct watch *w;

	(void)easy;
	(void)sock;
	if (what == CURL_POLL_REMOVE) {
		watch_forget(watch_slot(f, fd));
		return 0;
	}
	w = watch_get(f, fd);
	if (w == NULL)
		return -1;
	w->events = 0;
	if (what & CURL_POLL_IN)
		w->events |= LOOP_READ;
	if (what & CURL_POLL_OUT)
		w->events |= LOOP_WRITE;
	watch_poll(w, w->events);
	return 0;
}

static int
on_timer_want(CURLM *multi, long ms, void *arg)
{
	struct fetcher *f = arg;

	(void)multi;
	if (ms < 0)
		loop_timer_stop(f->timer);
	else
		loop_timer_start(f->timer, ms, 0);
	return 0;
}

static void
on_timer(void *arg)
{
	struct fetcher *f = arg;
	int running;

	curl_multi_socket_action(f->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	fetcher_reap(f);
}

/* ---- the end of a transfer ---- */

/* Takes r apart; its owner is told last, and may start another at once. */
static void
fetch_finish(struct fetch *r, struct fetch_end *end)
{
	struct fetcher *f = r->fetcher;

	r->fetcher->waiting -= r->waits;
	end->head = r->head;
	end->sent = r->sent;
	curl_multi_remove_handle(f->multi, r->easy);
	opened_settle(r, 0);
	if (f->idle_count < IDLE_HANDLES_MAX) {
		curl_easy_reset(r->easy);
		f->idle[f->idle_count++] = r->easy;
	} else {
		curl_easy_cleanup(r->easy);
	}
	curl_slist_free_all(r->headers);
	fetch_body_fini(&r->body);
	*r->prev = r->next;
	if (r->next != NULL)
		r->next->prev = r->prev;
	r->on_end(r->ctx, end);
	free(r);
}

static void
fetch_end_by_curl(struct fetch *r, CURLcode rc)
{
	struct fetch_end end = { .code = ERR_MODEL };
	long status = 0;

	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
	r->head.status = (int)status;
	if (rc == CURLE_OK) {
		end.code = ERR_NONE;
	} else if (r->err.code != ERR_NONE) {
		end.code = r->err.code;
		snprintf(end.text, sizeof(end.text), "%.190s", r->err.text);
	} else {
		if (rc == CURLE_OPERATION_TIMEDOUT)
			end.code = ERR_TIMEOUT;
		snprintf(end.text, sizeof(end.text), "%.190s",
		    r->curl_text[0] != '\0' ? r->curl_text
					    : curl_easy_strerror(rc));
	}
	fetch_finish(r, &end);
}

/* Gives it to curl: 0, or -1 and it has ended. */
static int
fetch_run(struct fetch *r)
{
	struct fetch_end end = { .code = ERR_MODEL };

	r->fetcher->waiting -= r->waits;
	r->waits = 0;
	if (curl_multi_add_handle(r->fetcher->multi, r->easy) == CURLM_OK)
		return 0;
	snprintf(end.text, sizeof(end.text), "curl refused it");
	fetch_finish(r, &end);
	return -1;
}

/* Ends what curl says has ended, and starts what could not be meanwhile. */
static void
fetcher_reap(struct fetcher *f)
{
	CURLMsg *msg;
	struct fetch *r;
	int left;

	while ((msg = curl_multi_info_read(f->multi, &left)) != NULL) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &r);
		fetch_end_by_curl(r, msg->data.result);
	}
	while (f->waiting > 0) {
		for (r = f->running; !r->waits; r = r->next)
			continue;
		fetch_run(r);
	}
}

void
fetch_cancel(struct fetch *r)
{
	struct fetch_end end = { .code = ERR_CANCELLED };

	snprintf(end.text, sizeof(end.text), "cancelled");
	fetch_finish(r, &end);
}

/* A transfer that has been silent for too long, or NULL. */
static struct fetch *
fetcher_overdue(struct fetcher *f, int64_t now)
{
	struct fetch *r;

	for (r = f->running; r != NULL; r = r->next)
		if (now - r->last_ms >=
		    (r->began ? r->idle_ms : r->first_byte_ms))
			break;
	return r;
}

/*
 * While this process stood still (SIGSTOP, a host that was suspended) it has
 * heard nobody. That is not their silence: what they said waits in sockets,
 * which are read after the timers.
 */
static void
fetcher_stood_still(struct fetcher *f, int64_t now)
{
	int64_t late_ms = now - f->watched_ms - WATCH_EVERY_MS;
	struct fetch *r;

	f->watched_ms = now;
	if (late_ms < STOOD_STILL_MS)
		return;
	for (r = f->running; r != NULL; r = r->next)
		r->last_ms =
		    r->last_ms + late_ms < now ? r->last_ms + late_ms : now;
}

/*
 * First byte and silence: curl has no such timeouts. Looks from the start
 * again after each: its owner may have ended others.
 */
static void
on_watch(void *arg)
{
	struct fetcher *f = arg;
	int64_t now = loop_now_ms(f->loop);
	struct fetch *r;

	fetcher_stood_still(f, now);
	while ((r = fetcher_overdue(f, now)) != NULL) {
		struct fetch_end end = { .code = ERR_TIMEOUT };

		snprintf(end.text, sizeof(end.text),
		    r->began ? "the stream was silent for %lld ms"
			     : "no answer began within %lld ms",
		    (long long)(r->began ? r->idle_ms : r->first_byte_ms));
		fetch_finish(r, &end);
	}
	if (f->running == NULL) {
		loop_timer_stop(f->watch);
		f->watching = 0;
	}
}

/* ---- starting ---- */

static CURL *
handle_take(struct fetcher *f)
{
	CURL *easy;

	if (f->idle_count > 0)
		return f->idle[--f->idle_count];
	easy = curl_easy_init();
	if (easy == NULL)
		abort();
	return easy;
}

static void
handle_set_tls(CURL *e, const struct fetch_spec *spec)
{
	if (spec->ca_file != NULL && *spec->ca_file != '\0')
		curl_easy_setopt(e, CURLOPT_CAINFO, spec->ca_file);
	if (spec->tls13)
		curl_easy_setopt(
		    e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
	if (spec->certificate_file == NULL || *spec->certificate_file == '\0')
		return;
	curl_easy_setopt(e, CURLOPT_SSLCERT, spec->certificate_file);
	curl_easy_setopt(e, CURLOPT_SSLKEY, spec->key_file);
}

static void
handle_set(struct fetch *r, const struct fetch_spec *spec)
{
	CURL *e = r->easy;

	curl_easy_setopt(e, CURLOPT_PRIVATE, r);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, r->curl_text);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	/* Else the end of a request would wait, here on the loop, for the
	 * thread that looks for the address of its host. */
	curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(e, CURLOPT_URL, spec->url);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION,
	    (long)(spec->alone ? CURL_HTTP_VERSION_1_1
			       : CURL_HTTP_VERSION_2TLS));
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, r->headers);
	if (spec->method == NULL || strcmp(spec->method, "PUT") == 0)
		fetch_body_set(&r->body, e, spec);
	if (spec->method != NULL)
		curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, spec->method);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)spec->connect_ms);
	curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)spec->total_ms);
	curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long)RECEIVE_BUFFER);
	curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
	curl_easy_setopt(e, CURLOPT_CLOSESOCKETDATA, r->fetcher);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, r);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_write);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, r);
	curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_send);
	curl_easy_setopt(e, CURLOPT_PREREQDATA, r);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, r);
	if (spec->networks != NULL) {
		r->networks = spec->networks;
		curl_easy_setopt(e, CURLOPT_PROXY, "");
	}
	if (spec->proxy != NULL && *spec->proxy != '\0')
		curl_easy_setopt(e, CURLOPT_PROXY,
		    strcmp(spec->proxy, "none") == 0 ? "" : spec->proxy);
	if (spec->only_connect)
		curl_easy_setopt(e, CURLOPT_CONNECT_ONLY, 1L);
	handle_set_tls(e, spec);
}

static struct curl_slist *
headers_make(const struct fetch_spec *spec)
{
	struct curl_slist *list = NULL, *longer;

	for (int i = 0; i < FETCH_HEADERS_MAX; i++) {
		if (spec->headers[i] == NULL)
			break;
		longer = curl_slist_append(list, spec->headers[i]);
		if (longer == NULL)
			abort();
		list = longer;
	}
	/* curl asks before large bodies, which costs a round trip. */
	longer = curl_slist_append(list, "Expect:");
	return longer == NULL ? list : longer;
}

static void
fetch_link(struct fetcher *f, struct fetch *r)
{
	r->prev = &f->running;
	r->next = f->running;
	if (r->next != NULL)
		r->next->prev = &r->next;
	f->running = r;
	if (!f->watching) {
		loop_timer_start(f->watch, WATCH_EVERY_MS, WATCH_EVERY_MS);
		f->watching = 1;
		f->watched_ms = loop_now_ms(f->loop);
	}
}

int
fetch_ignore_body(void *ctx, const struct fetch_head *head, const char *data,
    size_t len, struct err *err)
{
	(void)ctx;
	(void)head;
	(void)data;
	(void)len;
	(void)err;
	return 0;
}

struct fetch *
fetch_start(struct fetcher *f, const struct fetch_spec *spec)
{
	struct fetch *r = calloc(1, sizeof(*r));

	if (r == NULL)
		abort();
	r->fetcher = f;
	r->easy = handle_take(f);
	r->headers = headers_make(spec);
	r->first_byte_ms = spec->first_byte_ms;
	r->idle_ms = spec->idle_ms;
	r->once = spec->once;
	r->last_ms = loop_now_ms(f->loop);
	r->on_body = spec->on_body;
	r->on_end = spec->on_end;
	r->ctx = spec->ctx;
	handle_set(r, spec);
	fetch_link(f, r);
	r->waits = f->inside;
	f->waiting += r->waits;
	return r->waits || fetch_run(r) == 0 ? r : NULL;
}

struct fetcher *
fetcher_new(struct loop *l)
{
	struct fetcher *f = calloc(1, sizeof(*f));

	if (f == NULL || curl_global_init(CURL_GLOBAL_ALL) != 0)
		abort();
	f->loop = l;
	f->multi = curl_multi_init();
	if (f->multi == NULL)
		abort();
	f->timer = loop_timer_new(l, "fetch timer", on_timer, f);
	f->watch = loop_timer_new(l, "fetch watch", on_watch, f);
	curl_multi_setopt(f->multi, CURLMOPT_SOCKETFUNCTION, on_want);
	curl_multi_setopt(f->multi, CURLMOPT_SOCKETDATA, f);
	curl_multi_setopt(f->multi, CURLMOPT_TIMERFUNCTION, on_timer_want);
	curl_multi_setopt(f->multi, CURLMOPT_TIMERDATA, f);
	curl_multi_setopt(
	    f->multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS);
	return f;
}

void
fetcher_free(struct fetcher **f_p)
{
	struct fetcher *f = *f_p;

	if (f == NULL)
		return;
	*f_p = NULL;
	while (f->running != NULL)
		fetch_cancel(f->running);
	while (f->idle_count > 0)
		curl_easy_cleanup(f->idle[--f->idle_count]);
	curl_multi_cleanup(f->multi); /* closes the sockets */
	for (int fd = 0; fd < f->watches_size; fd++)
		watch_end(&f->watches[fd]);
	free(f->watches);
	loop_timer_free(&f->timer);
	loop_timer_free(&f->watch);
	free(f);
}
