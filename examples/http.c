/* http.c - a transport for vitelemetry.h over plain POSIX sockets

Bring your own HTTP stack: this is what a transport has to do, in one function. Either compile it
as a file of its own, declare

    vit_response http_send(const vit_request *request, void *user);

and link; or #include "http.c" behind vitelemetry.h in the file with VITELEMETRY_IMPLEMENTATION
(elsewhere -std=c99 hides POSIX). Then

    options.transport.send_fn = http_send;

It speaks http:// only (for a collector on this machine, a proxy or a tunnel that adds TLS); any
other URL gets status 0, no answer. A request ends within timeout_ms and 20 ms after it is
cancelled; only the look-up of a host name takes as long as the system's resolver does, so give a
number or localhost where that matters. No globals, no signals; user is not used.

Public domain by the Unlicense, as vitelemetry.h. */

#if !defined(_GNU_SOURCE) && !defined(_DARWIN_C_SOURCE) && !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif
#ifndef VITELEMETRY_H
#include "vitelemetry.h"
#endif

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifdef MSG_NOSIGNAL
#define HTTP_SEND_FLAGS MSG_NOSIGNAL
#else
#define HTTP_SEND_FLAGS 0 /* there SO_NOSIGPIPE does it */
#endif
#define HTTP_SLICE_MS    20   /* how often a wait looks at vit_request_cancelled */
#define HTTP_ANSWER_SIZE 8192 /* head and start of the body; what comes after is not read */

vit_response http_send(const vit_request *request, void *user);

typedef struct http_url {
    char        host[256], port[8];
    const char *authority, *path;
} http_url;
typedef struct http_call {
    const vit_request *request;
    int64_t            end_ms;
    int                fd;
} http_call;

static int64_t http_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Copies size bytes and a NUL. False: empty, or longer than the room. */
static bool http_copy(char *out, size_t room, const char *text, size_t size)
{
    if (size == 0 || size >= room) return false;
    memcpy(out, text, size);
    out[size] = 0;
    return true;
}

/* http://host[:port][/path]; a numeric IPv6 host stands in brackets. Controls and blanks are
   refused, since they would end the request line. */
static bool http_parse(http_url *url, const char *text)
{
    const char *end, *colon, *host;
    for (end = text; *end; end++)
        if ((unsigned char)*end <= ' ' || *end == 127) return false;
    if (strncasecmp(text, "http://", 7) != 0) return false;
    url->authority = text + 7;
    url->path = url->authority + strcspn(url->authority, "/?#");
    end = url->authority[0] == '[' ? strchr(url->authority, ']') : NULL;
    colon = end ? end + 1 : url->authority + strcspn(url->authority, ":/?#");
    if (colon > url->path || memchr(url->authority, '@', (size_t)(url->path - url->authority)))
        return false;
    if (colon == url->path) memcpy(url->port, "80", 3);
    else if (*colon != ':' ||
             !http_copy(url->port, sizeof url->port, colon + 1, (size_t)(url->path - colon - 1)))
        return false;
    host = url->authority + (end ? 1 : 0);
    return http_copy(url->host, sizeof url->host, host, (size_t)((end ? end : colon) - host));
}

/* Waits until the socket can do one of events: what it can do. 0: end of time, or cancelled. */
static short http_wait(const http_call *call, short events, int64_t end_ms)
{
    struct pollfd entry = { 0, 0, 0 };
    entry.fd = call->fd;
    entry.events = events;
    while (!vit_request_cancelled(call->request)) {
        int64_t left_ms = end_ms - http_now_ms();
        if (left_ms <= 0) return 0;
        if (poll(&entry, 1, left_ms < HTTP_SLICE_MS ? (int)left_ms : HTTP_SLICE_MS) > 0)
            return entry.revents;
    }
    return 0;
}

static int http_socket(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, address->ai_socktype, address->ai_protocol);
    if (fd < 0) return -1;
#ifdef SO_NOSIGPIPE
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0) return fd;
    close(fd);
    return -1;
}

/* True: call->fd is connected. An address that is not the last has half of the time that is
   left. */
static bool http_connect_one(http_call *call, const struct addrinfo *address)
{
    int       error = 0;
    socklen_t size = sizeof error;
    int64_t   left_ms = call->end_ms - http_now_ms();
    call->fd = http_socket(address);
    if (call->fd < 0) return false;
    if (connect(call->fd, address->ai_addr, address->ai_addrlen) == 0) return true;
    if ((errno == EINPROGRESS || errno == EINTR) &&
        http_wait(call, POLLOUT, call->end_ms - (address->ai_next ? left_ms / 2 : 0)) &&
        getsockopt(call->fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0)
        return true;
    close(call->fd);
    call->fd = -1;
    return false;
}

static bool http_connect(http_call *call, const http_url *url)
{
    struct addrinfo hints, *list = NULL, *address;
    bool            connected = false;
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    if (getaddrinfo(url->host, url->port, &hints, &list) != 0) return false;
    for (address = list; address && !connected; address = address->ai_next)
        connected = http_connect_one(call, address);
    freeaddrinfo(list);
    return connected;
}

/* Head and body in one piece, so that a small event is one packet. The caller frees it. */
static char *http_message(const vit_request *request, const http_url *url, size_t *size)
{
    static const char format[] = "POST %s%.*s HTTP/1.1\r\nHost: %.*s\r\nContent-Type: %s\r\n"
                                 "%sContent-Length: %lu\r\nConnection: close\r\n\r\n";
    const char       *slash = url->path[0] == '/' ? "" : "/";
    int               path = (int)strcspn(url->path, "#"), host = (int)(url->path - url->authority);
    unsigned long     body = (unsigned long)request->body_size;
    int               head = snprintf(NULL, 0, format, slash, path, url->path, host, url->authority,
                                      request->content_type, request->headers, body);
    char *message = head < 0 ? NULL : (char *)malloc((size_t)head + 1 + request->body_size);
    if (!message) return NULL;
    snprintf(message, (size_t)head + 1, format, slash, path, url->path, host, url->authority,
             request->content_type, request->headers, body);
    if (request->body_size) memcpy(message + head, request->body, request->body_size);
    *size = (size_t)head + request->body_size;
    return message;
}

/* Copies the value of a header whose line is complete; false: there is none. */
static bool http_header(const char *answer, const char *name, char *out, size_t room)
{
    const char *line = answer, *value;
    size_t      length = strlen(name);
    while ((line = strstr(line, "\r\n")) != NULL && strncmp(line, "\r\n\r\n", 4) != 0) {
        line += 2;
        if (strncasecmp(line, name, length) != 0 || line[length] != ':') continue;
        value = line + length + 1;
        value += strspn(value, " \t");
        return strstr(value, "\r\n") && http_copy(out, room, value, strcspn(value, "\r\n"));
    }
    return false;
}

/* 0: not a status line, or an interim answer. */
static int http_status(const char *answer)
{
    int status;
    if (!strstr(answer, "\r\n") || strlen(answer) < 12 || memcmp(answer, "HTTP/1.", 7) != 0)
        return 0;
    status = atoi(answer + 8);
    return status >= 200 && status <= 599 ? status : 0;
}

/* True: nothing that would change the result can follow. */
static bool http_complete(const vit_request *request, const char *answer)
{
    char        length[24];
    const char *body = strstr(answer, "\r\n\r\n");
    if (!body) return false;
    if (!request->reply || request->reply_size == 0 || http_status(answer) == 204) return true;
    if (strlen(body + 4) >= request->reply_size) return true;
    return http_header(answer, "Content-Length", length, sizeof length) &&
           strlen(body + 4) >= strtoul(length, NULL, 10);
}

/* Takes away whole interim answers (1xx), which may come at any time (RFC 9110, 15.2), and says how
   much is left. */
static size_t http_skip_interim(char *answer, size_t size)
{
    char *end;
    while (strncmp(answer, "HTTP/1.", 7) == 0 && strlen(answer) > 9 && answer[9] == '1' &&
           (end = strstr(answer, "\r\n\r\n")) != NULL) {
        size -= (size_t)(end + 4 - answer);
        memmove(answer, end + 4, size + 1);
    }
    return size;
}

/* Puts what has come behind the answer so far. False: the other side has ended, or the room is
   full. */
static bool http_hear(const http_call *call, char *answer, size_t room)
{
    size_t  size = strlen(answer);
    ssize_t got = recv(call->fd, answer + size, room - 1 - size, 0);
    if (got < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    answer[size + (size_t)got] = 0;
    (void)http_skip_interim(answer, size + (size_t)got);
    return got > 0;
}

/* False: no time, or cancelled. A server that answers or hangs up early is worth listening to; one
   that only says 100 Continue or the like waits for the rest. */
static bool http_write(const http_call *call, const char *message, size_t size, char *answer,
                       size_t room)
{
    while (size) {
        short   ready = http_wait(call, POLLIN | POLLOUT, call->end_ms);
        ssize_t sent;
        if (ready == 0) return false;
        if ((ready & POLLIN) && (!http_hear(call, answer, room) || http_status(answer)))
            return true;
        sent = send(call->fd, message, size, HTTP_SEND_FLAGS);
        if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) return true;
        if (sent <= 0) continue;
        message += sent;
        size -= (size_t)sent;
    }
    return true;
}

/* Reads until the answer is complete, the room is full, the other side ends or the time is up. A
   head that was cut off by that is no answer; one that fills the room is. */
static void http_read(const http_call *call, char *answer, size_t room)
{
    while (!http_complete(call->request, answer))
        if (http_wait(call, POLLIN, call->end_ms) == 0 || !http_hear(call, answer, room)) break;
    if (!strstr(answer, "\r\n\r\n") && strlen(answer) + 1 < room) answer[0] = 0;
}

/* Joins the chunks of a chunked body (RFC 9112, 7.1) in place, as far as they are there. */
static void http_unchunk(char *body)
{
    char *out = body, *in = body, *end;
    for (;;) {
        unsigned long size = strtoul(in, &end, 16), there;
        if (end == in || !(in = strstr(end, "\r\n"))) break;
        in += 2;
        there = (unsigned long)strlen(in);
        memmove(out, in, size < there ? size : there);
        out += size < there ? size : there;
        if (size == 0 || there < 2 || size > there - 2) break;
        in += size + 2; /* the chunk's own line end */
    }
    *out = 0;
}

static vit_response http_answer(const vit_request *request, char *answer)
{
    vit_response response = { 0, 0 };
    char         value[64], *body = strstr(answer, "\r\n\r\n");
    response.http_status = http_status(answer);
    if (response.http_status == 0) return response;
    if (http_header(answer, "Retry-After", value, sizeof value))
        response.retry_after_s = vit_retry_after(value, (int64_t)time(NULL));
    if (body && request->reply && request->reply_size) {
        if (http_header(answer, "Transfer-Encoding", value, sizeof value)) http_unchunk(body + 4);
        snprintf(request->reply, request->reply_size, "%s", body + 4);
    }
    return response;
}

/* One POST as vit_transport.send_fn: status 0 when there was no answer. */
vit_response http_send(const vit_request *request, void *user)
{
    vit_response response = { 0, 0 };
    http_call    call = { request, 0, -1 };
    http_url     url;
    size_t       size = 0;
    char         answer[HTTP_ANSWER_SIZE], *message;
    (void)user;
    if (request->reply && request->reply_size) request->reply[0] = 0;
    if (!http_parse(&url, request->url)) return response;
    message = http_message(request, &url, &size);
    answer[0] = 0;
    call.end_ms = http_now_ms() + request->timeout_ms;
    if (message && http_connect(&call, &url)) {
        if (http_write(&call, message, size, answer, sizeof answer)) {
            http_read(&call, answer, sizeof answer);
            response = http_answer(request, answer);
        }
        close(call.fd);
    }
    free(message);
    return response;
}
