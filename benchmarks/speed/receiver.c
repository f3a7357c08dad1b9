/* What a receiver costs at least: libzmq's PULL, and a buffered file that is flushed when nothing is waiting.
 *
 * receiver ENDPOINT FILE
 *
 * A message that ends with a newline already, as a frame of JSON Lines may, gets no other.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

#include "common.h"

int main(int argc, char **argv)
{
    zmq_msg_t message;
    if (argc != 3)
        return 2;
    FILE *file = fopen(argv[2], "ab");
    check(!file, argv[2]);
    setvbuf(file, NULL, _IOFBF, 1 << 16);
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_PULL);
    check(zmq_bind(socket, argv[1]), argv[1]);
    zmq_msg_init(&message);
    for (;;) {
        int size = zmq_msg_recv(&message, socket, ZMQ_DONTWAIT);
        if (size < 0 && errno == EAGAIN) {
            check(fflush(file), "fflush");
            size = zmq_msg_recv(&message, socket, 0);
        }
        check(size < 0, "zmq_msg_recv");
        const char *data = zmq_msg_data(&message);
        fwrite(data, 1, size, file);
        if (!size || data[size - 1] != '\n')
            putc_unlocked('\n', file);
    }
}
