/* Says how old each line is when it is seen in a file: one number of nanoseconds a line.
 *
 * watcher FILE COUNT
 *
 * The kernel wakes it when the file changes (inotify). A line begins with {"sent":T, as the sender's do. It
 * prints `ready` when it watches, and the ages when all lines are there.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

static char buffer[1 << 22];

int main(int argc, char **argv)
{
    long count, seen = 0;
    size_t held = 0;
    char events[65536];
    if (argc != 3)
        return 2;
    count = atol(argv[2]);
    long long *ages = calloc(count, sizeof *ages);
    int file = open(argv[1], O_RDONLY), notices = inotify_init1(0);
    check(file < 0, argv[1]);
    check(inotify_add_watch(notices, argv[1], IN_MODIFY) < 0, "inotify_add_watch");
    puts("ready");
    fflush(stdout);
    while (seen < count) {
        ssize_t got = read(file, buffer + held, sizeof buffer - held);
        long long at = now();
        check(got < 0, "read");
        if (!got) {
            check(read(notices, events, sizeof events) <= 0, "inotify");
            continue;
        }
        held += got;
        char *place = buffer, *stop;
        while ((stop = memchr(place, '\n', buffer + held - place)) && seen < count) {
            check(strncmp(place, "{\"sent\":", 8), "not a line of the sender");
            ages[seen++] = at - (strtoll(place + 8, NULL, 10) - BASE);
            place = stop + 1;
        }
        held -= place - buffer;
        memmove(buffer, place, held);
    }
    for (long i = 0; i < count; i++)
        printf("%lld\n", ages[i]);
    return 0;
}
