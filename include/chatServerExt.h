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
 * How a connection stands; see chat_get_info.
 */
struct chat_conn_info {
  /**
   * How many bytes wait to be sent.
   */
  size_t queued_bytes;
  /**
   * How many messages those are, the first perhaps sent in part.
   */
  size_t queued_msgs;
  /**
   * 0; or, for a connection that has been cut off, why: ENOBUFS when it was too far behind
   * (see chat_set_max_queue).
   */
  int cut_off;
};

/**
 * The same as struct chat_conn_info.
 */
typedef struct chat_conn_info chat_conn_info_t;

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
 * may own memory that a program cannot see. The bytes must not be a message out of the pool's own
 * queues.
 *
 * @param sd      the connection that was read from
 * @param buffer  what was read; stays the caller's and is not changed
 * @param len     how many bytes that is; 0 at the end of the file
 * @param pool    the pool
 * @return 0; or -1 with nothing changed and errno EINVAL (pool is NULL, len negative, or buffer
 *         NULL with a length), ENOENT (sd is not in the pool), EMSGSIZE (with what was kept of
 *         its line, the message would be longer than INT_MAX) or ENOMEM
 *
 * Preconditions:
 * As for add_msg.
 */
int chat_feed(int sd, const char *buffer, int len, conn_pool_t *pool);

/**
 * Queues a message for one connection alone, as add_msg does for all. For a listening socket or
 * a connection that has been cut off nothing is queued, which is no failure. In a corked pool it
 * is first handed what has been said before, for the message to come after that.
 *
 * @param sd      the connection that is to get it
 * @param buffer  the message; stays the caller's and is not changed
 * @param len     its length in bytes; for 0 nothing is queued
 * @param pool    the pool
 * @return 0; or -1 with nothing queued and errno EINVAL (pool is NULL, len negative, or buffer
 *         NULL with a length), ENOENT (sd is not in the pool) or ENOMEM
 *
 * Preconditions:
 * As for add_msg.
 */
int chat_tell(int sd, const char *buffer, int len, conn_pool_t *pool);

/**
 * Corks a pool: what add_msg, addMsg and chat_feed are given from now on is held once, in a
 * batch, in place of a copy in every queue, until chat_uncork delivers it.
 *
 * A program corks before the reads of a pass and uncorks after them. Everything arrives as it
 * would without: in the order of the calls, to all but the sender, and not to who joins later.
 * write_msg goes on with what is queued, and leaves the batch alone. A batch of 4 MiB does not
 * wait for chat_uncork.
 *
 * Corking what is corked changes nothing. An empty pool is not corked, and one that is emptied is
 * corked no more. The batch's memory is kept for the next time, most of it until chat_uncork
 * finds fewer than two connections, the rest until the last one is removed; so a pool that has
 * been corked is to be emptied by remove_conn, or that memory is lost. What has been said and not
 * delivered is dropped then. While a pool is corked, what add_msg is given must not be a message
 * out of the pool's own queues.
 *
 * @param pool  the pool
 * @return 0; or -1 with nothing changed and errno EINVAL (pool is NULL) or ENOMEM. An uncorked
 *         pool works as well, so a program may ignore that.
 *
 * Preconditions:
 * As for add_msg.
 */
int chat_cork(conn_pool_t *pool);

/**
 * Uncorks a pool: everyone gets what has been said since chat_cork, by one system call each.
 *
 * Who has nothing queued is sent it from the one batch, without a copy. What the kernel does not
 * take, and the whole where messages wait already, becomes a message in the queue, and its bit
 * in write_set is set: write_msg goes on with it. A peer that turns out to be gone gets nothing,
 * its socket is shut for writing as by write_msg, and the program's next read finds that out.
 *
 * When memory runs out for somebody's queue, the others get everything, the pool stays corked,
 * and nothing is lost or sent twice: call again.
 * Uncorking what is not corked does nothing.
 *
 * @param pool  the pool
 * @return 0; or -1 with the pool still corked and errno EINVAL (pool is NULL) or ENOMEM
 *
 * Preconditions:
 * As for add_msg.
 */
int chat_uncork(conn_pool_t *pool);

/**
 * Limits what a reader who does not keep up may cost, in every pool of the process.
 *
 * When more than so many bytes would wait for a connection, it is cut off: what waits is
 * dropped, its bit in write_set cleared, its socket shut down, and nothing is queued for it any
 * more. The peer gets what the kernel had taken, without a gap, and then the end (some of it may
 * be missing at the end if the peer goes on talking, as TCP has it). The program's
 * next read from the connection finds the end, too, and the program removes it in the ordinary
 * way. Before it comes to that, the queue is counted (a program may have taken messages out by
 * itself) and the kernel is asked to take some. A message for a connection that has nothing
 * waiting is queued whatever its length. A message counts for 32 bytes at least, since keeping
 * it costs memory, too.
 *
 * Without this call the limit is 8 MiB. Any thread may call it at any time.
 *
 * @param bytes  the limit in bytes of messages; 0 for none
 */
void chat_set_max_queue(size_t bytes);

/**
 * Has remove_conn print its line or not, in every pool of the process. Any thread may call it at
 * any time.
 *
 * @param quiet  0 to print, as it does without this call; anything else not to
 */
void chat_set_quiet(int quiet);

/**
 * Tells how far behind a connection is, and whether it has been cut off.
 *
 * The queue is counted message by message, so what the program has taken out by itself does
 * not count. Nor does what a corked pool holds (see chat_cork).
 *
 * @param sd    the descriptor
 * @param pool  the pool
 * @param info  where the answer goes
 * @return 0; or -1 with nothing written and errno EINVAL (pool or info is NULL) or ENOENT (sd
 *         is not in the pool)
 *
 * Preconditions:
 * As for add_msg. info is NULL, or memory for the answer that may be written.
 */
int chat_get_info(int sd, conn_pool_t *pool, chat_conn_info_t *info);

/**
 * The version of the library, as in "1.0.0".
 *
 * @return a string that lives as long as the program
 */
const char *chat_version(void);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* CHAT_SERVER_EXT_H */
