/*
 * chatServerExt.h - what libchatserver adds to chatServer.h.
 *
 * All names begin with chat_. A program on chatServer.h alone needs none of them.
 *
 * Generated from src/ffi_ext.rs by `make header`; change it there.
 */

#ifndef CHAT_SERVER_EXT_H
#define CHAT_SERVER_EXT_H

#include <stddef.h>
#include "chatServer.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Takes what read() has got from a connection, and queues the whole lines in it for everyone
 * else, as add_msg does.
 *
 * What comes after the last newline stays with the connection until its line ends in a later
 * call, so the lines of two clients never mix. All whole lines of one call, line ends included,
 * make one message. A line of 64 KiB or more goes on in pieces of that size. Any bytes will do.
 *
 * Call it with the count that read() has returned: for 0, the end of the file, what is left
 * without a newline is queued as it is. All or nothing: when memory runs out, nothing is queued
 * and nothing kept, and the same bytes may be given again.
 *
 * A connection that has been given to this function is to be removed by remove_conn, since it
 * may own memory that a program cannot see.
 *
 * @param sd      the connection that was read from
 * @param buffer  what was read; stays the caller's and is not changed
 * @param len     how many bytes that is; 0 at the end of the file
 * @param pool    the pool
 * @return 0; or -1 with nothing changed and errno EINVAL (pool is NULL, len negative, or buffer
 *         NULL with a length), ENOENT (sd is not in the pool) or ENOMEM
 *
 * # Safety
 *
 * As for add_msg.
 */
int chat_feed(int sd, const char *buffer, int len, conn_pool_t *pool);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* CHAT_SERVER_EXT_H */
