/* Sends the lines of a file through PUSH sockets, as fast as they are taken.
 *
 * sender FILE COUNT TARGET [-f BYTES] [-c CONNECTIONS] [-r RATE]
 *
 * TARGET   an endpoint to connect to, or a file's path: lines are then appended to it directly.
 * -f       send frames of whole lines, at most so many bytes each, instead of one line a message.
 * -c       so many sockets, which take turns.
 * -r       so many lines a second. Each then begins with {"sent":T, where T is BASE and the monotonic clock's
 *          nanoseconds at its sending.
 *
 * Sending waits where the socket is full: its high-water mark is libzmq's own, 1000 messages. It prints the
 * monotonic clock in nanoseconds before the first line, when all sockets are connected, and after the last.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "common.h"

static void **sockets;
static int connections = 1;
static int file = -1;

static void send_one(const char *data, size_t size)
{
    static int turn = 0;
    if (file >= 0) {
        check(write(file, data, size) != (ssize_t)size, "write");
        return;
    }
    check(zmq_send(sockets[turn], data, size, 0) < 0, "zmq_send");
    if (++turn == connections)
        turn = 0;
}

static void *connect_all(const char *endpoint)
{
    void *context = zmq_ctx_new();
    int only_connected = 1;
    zmq_ctx_set(context, ZMQ_MAX_SOCKETS, connections + 10);
    sockets = calloc(connections, sizeof *sockets);
    for (int i = 0; i < connections; i++) {
        sockets[i] = zmq_socket(context, ZMQ_PUSH);
        check(!sockets[i], "zmq_socket");
        zmq_setsockopt(sockets[i], ZMQ_IMMEDIATE, &only_connected, sizeof only_connected);
        check(zmq_connect(sockets[i], endpoint), "zmq_connect");
    }
    for (int i = 0; i < connections; i++) {
        zmq_pollitem_t item = {sockets[i], 0, ZMQ_POLLOUT, 0};
        check(zmq_poll(&item, 1, 30000) != 1, "no connection in 30 s");
    }
    return context;
}

static void pour(const char *data, size_t size, long count, long frame)
{
    const char *place = data, *end = data + size;
    while (count > 0) {
        if (place >= end)
            place = data;
        const char *stop = memchr(place, '\n', end - place);
        check(!stop, "the file's last line is torn");
        count--;
        if (!frame) {
            send_one(place, stop - place);
            place = stop + 1;
            continue;
        }
        while (count > 0 && stop + 1 < end) {
            const char *next = memchr(stop + 1, '\n', end - stop - 1);
            if (!next || next + 1 - place > frame)
                break;
            stop = next;
            count--;
        }
        send_one(place, stop - place);
        place = stop + 1;
    }
}

static void pace(const char *data, size_t size, long count, long rate)
{
    const char *place = data, *end = data + size;
    char message[65536];
    long long began = now();
    prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
    for (long i = 0; i < count; i++) {
        long long due = began + i * (1000000000LL / rate);
        struct timespec until = {due / 1000000000LL, due % 1000000000LL};
        if (now() < due)
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        if (place >= end)
            place = data;
        const char *stop = memchr(place, '\n', end - place);
        size_t rest = stop - place - 1; /* without the line's opening brace */
        check(rest + 64 > sizeof message, "too long a line");
        int head = snprintf(message, 64, "{\"sent\":%lld,", BASE + now());
        memcpy(message + head, place + 1, rest);
        if (file >= 0)
            message[head + rest++] = '\n';
        send_one(message, head + rest);
        place = stop + 1;
    }
}

int main(int argc, char **argv)
{
    long frame = 0, rate = 0;
    void *context = NULL;
    struct stat status;
    int option;
    while ((option = getopt(argc, argv, "f:c:r:")) != -1) {
        if (option == 'f')
            frame = atol(optarg);
        else if (option == 'c')
            connections = atoi(optarg);
        else if (option == 'r')
            rate = atol(optarg);
        else
            return 2;
    }
    if (argc - optind != 3)
        return 2;
    const char *target = argv[optind + 2];
    long count = atol(argv[optind + 1]);
    int source = open(argv[optind], O_RDONLY);
    check(source < 0 || fstat(source, &status), argv[optind]);
    char *data = mmap(NULL, status.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, source, 0);
    check(data == MAP_FAILED, "mmap");
    if (strstr(target, "://"))
        context = connect_all(target);
    else
        check((file = open(target, O_WRONLY | O_APPEND)) < 0, target);
    printf("%lld\n", now());
    fflush(stdout);
    if (rate)
        pace(data, status.st_size, count, rate);
    else
        pour(data, status.st_size, count, frame);
    printf("%lld\n", now());
    for (int i = 0; context && i < connections; i++)
        zmq_close(sockets[i]);
    if (context)
        zmq_ctx_term(context);
    return 0;
}
