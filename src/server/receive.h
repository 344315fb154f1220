/* receive.h - what clients send. */

#ifndef RECEIVE_H
#define RECEIVE_H

#include <stddef.h>

#include "server.h"

/* The most that one read takes: four times BUFFER_SIZE, which relays a heavy sender's bytes in a
 * third of the time, since the sends are what costs. A larger buffer saves little more, and the
 * other clients would wait for it. */
enum { READ_SIZE = 16 * 1024 };

/* Reads once from a client, `size` bytes at most, and relays that. */
void read_client(struct server *server, int sd, size_t size);

#endif /* RECEIVE_H */
