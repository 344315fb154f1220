/**
 * @file
 * @brief What libchatserver adds to chatServer.h.
 *
 * All names begin with chat_. A program written for chatServer.h alone needs none of them.
 */

/* Generated from src/ffi_ext.rs by `make header`; change it there. */

#ifndef CHAT_SERVER_EXT_H
#define CHAT_SERVER_EXT_H

#include <stddef.h>
#include "chatServer.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The first number of the version of this header, as in 1.0.0; see chat_version for the library's.
 */
#define CHATSERVER_VERSION_MAJOR 1

/**
 * The second number.
 */
#define CHATSERVER_VERSION_MINOR 0

/**
 * The third number.
 */
#define CHATSERVER_VERSION_PATCH 0

/**
 * All three in one number to compare with, by the preprocessor as well: 1002003 is version 1.2.3.
 */
#define CHATSERVER_VERSION 1000000

/**
 * The state of a connection; see chat_get_info.
 */
struct chat_conn_info {
  /**
   * How many bytes are queued.
   */
  size_t queued_bytes;
  /**
   * How many messages are queued; the first one may have been sent in part.
   */
  size_t queued_msgs;
  /**
   * How many bytes the kernel has taken for the connection since add_conn. Beyond SIZE_MAX
   * (4 GiB on 32-bit systems) the count starts again from 0.
   */
  size_t sent_bytes;
  /**
   * 0; or, for a connection that has been cut off, the reason: ENOBUFS when too much was queued
   * (see chat_set_max_queue).
   */
  int cut_off;
};

/**
 * The same as struct chat_conn_info.
 */
typedef struct chat_conn_info chat_conn_info_t;

/**
 * Takes what read() returned from a connection, and queues the whole lines in it for all others,
 * as add_msg does.
 *
 * The bytes after the last newline stay with the connection until a later call ends their line, so
 * the lines of two clients never mix. All whole lines of one call, line ends included, make one
 * message. A line of 64 KiB or more is passed on in pieces of that size. The bytes may have any
 * values.
 *
 * Call it with the count that read() has returned: for 0, the end of the file, what is left
 * without a newline is queued as it is. The call does all or nothing: when memory runs out,
 * nothing is queued and nothing kept, and the same bytes may be passed again.
 *
 * A program that looks at each line first calls chat_receive and chat_next_line instead.
 *
 * A connection that has been passed to this function must be removed by remove_conn, since it may
 * own memory that a program cannot see. The bytes must not be those of a message in the pool's own
 * queues, nor of a line that chat_next_line has returned for this connection.
 *
 * @param sd      the connection that was read from
 * @param buffer  what was read; stays the caller's and is not changed
 * @param len     how many bytes that is; 0 at the end of the file
 * @param pool    the pool
 * @return 0; or -1 with nothing changed and errno EINVAL (pool is NULL, len negative, or buffer
 *         NULL with a length), ENOENT (sd is not in the pool), EMSGSIZE (with the kept part of
 *         its line, the message would be longer than INT_MAX) or ENOMEM
 *
 * Preconditions:
 * As for add_msg.
 */
int chat_feed(int sd, const char *buffer, int len, conn_pool_t *pool);

/**
 * Takes what read() returned from a connection, for chat_next_line to return line by line.
 *
 * The bytes are copied. Those after the last newline stay with the connection until a later call
 * ends their line, so the lines of two clients never mix. Call it with the count that read() has
 * returned: for 0, the end of the file, what is left without a newline becomes the last line.
 *
 * After each call, fetch the lines until chat_next_line returns 0: then less than 64 KiB stay.
 * Lines that are not fetched stay, too, and chat_feed passes them on before the next line that it
 * gets for the same connection.
 *
 * A connection that has been passed to this function must be removed by remove_conn, since it may
 * own memory that a program cannot see. The bytes must not be those of a line that chat_next_line
 * has returned for this connection.
 *
 * @param sd      the connection that was read from
 * @param buffer  what was read; stays the caller's and is not changed
 * @param len     how many bytes that is; 0 at the end of the file
 * @param pool    the pool
 * @return 0; or -1 with nothing kept and errno EINVAL (pool is NULL, len negative, or buffer NULL
 *         with a length), ENOENT (sd is not in the pool) or ENOMEM
 *
 * Preconditions:
 * As for add_msg.
 */
int chat_receive(int sd, const char *buffer, int len, conn_pool_t *pool);

/**
 * Fetches the next whole line of what chat_receive has taken from a connection.
 *
 * The line includes its newline. A line of 64 KiB or more comes in pieces of that size; of those
 * only the last ends with the newline. At the end of the file, what was left comes without one.
 * The bytes may have any values, and no NUL is added. Nothing is allocated.
 *
 * The line stays where it is until the next call of chat_next_line, chat_receive, chat_feed or
 * remove_conn for the same connection. All other calls may be made while a program handles it. The
 * connection itself may be removed, too: the next call fails with ENOENT, which ends the loop.
 *
 * @param sd    the connection
 * @param line  where to write the address of the line; left alone when there is none
 * @param pool  the pool
 * @return the length of the line in bytes, 1 to 65536; 0 when there is no whole line left; or -1
 *         with errno EINVAL (pool or line is NULL) or ENOENT (sd is not in the pool)
 *
 * Preconditions:
 * As for add_conn. line is NULL, or memory for the address that may be written.
 */
int chat_next_line(int sd, const char **line, conn_pool_t *pool);

/**
 * Queues a message for every connection except one or none, as add_msg does.
 *
 * Unlike add_msg, it takes a const buffer, and for -1 it leaves nobody out: for what the program
 * itself has to say.
 *
 * @param sd      the connection that gets no copy, which need not be in the pool; or -1
 * @param buffer  the message; stays the caller's and is not changed
 * @param len     its length in bytes; for 0 nothing is queued
 * @param pool    the pool
 * @return 0; or -1 with nothing queued and errno EINVAL (pool is NULL, sd below -1, len negative,
 *         or buffer NULL with a length) or ENOMEM
 *
 * Preconditions:
 * As for add_msg.
 */
int chat_say(int sd, const char *buffer, int len, conn_pool_t *pool);

/**
 * Queues a message for one connection alone, as add_msg does for all. For a listening socket or a
 * connection that has been cut off nothing is queued, which is not an error. In a corked pool the
 * connection is first sent what the batch holds for it, so that the message comes after that.
 *
 * @param sd      the recipient
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
 * Corks a pool: until chat_uncork, the messages of add_msg, addMsg, chat_say and chat_feed are
 * held once, in a batch, in place of a copy in every queue.
 *
 * A program corks before the reads of a pass and uncorks after them. Everything arrives as it
 * would without: in the order of the calls, at all connections but the sender, and not at those
 * that are added later. write_msg sends what is queued, and leaves the batch alone. A batch of
 * 4 MiB is delivered without waiting for chat_uncork.
 *
 * Corking is idempotent. An empty pool is not corked, and removing the last connection uncorks the
 * pool and drops what was not delivered. While a pool is corked, what add_msg is given must not be
 * a message in the pool's own queues.
 *
 * The batch's memory is kept for the next chat_cork. chat_uncork frees most of it when fewer than
 * two connections, beside listening sockets, are left; remove_conn frees the remaining part with
 * the last connection. So the last connection of a pool that has been corked must be removed by
 * remove_conn, or that memory is lost. A program may take other connections out of the list by
 * itself, and the others still get the batch. It must not put a connection back that it took out
 * before the first chat_cork, nor one that was out of the list when the last one was removed.
 *
 * @param pool  the pool
 * @return 0; or -1 with nothing changed and errno EINVAL (pool is NULL) or ENOMEM. An uncorked
 *         pool works as well, so a program may ignore a failure.
 *
 * Preconditions:
 * As for add_msg.
 */
int chat_cork(conn_pool_t *pool);

/**
 * Uncorks a pool: every connection gets the messages since chat_cork, by one system call each.
 *
 * Connections with an empty queue are sent the batch directly, without a copy. What the kernel
 * does not take, or the whole for a connection with a queue, is queued, and the bit in write_set
 * is set: write_msg sends it later. It becomes a message of its own, or is appended to the last
 * message of the queue if the two have at most 16 KiB together and that message is not the first.
 * A peer that turns out to be gone gets nothing, its socket is shut down for writing as by
 * write_msg, and the program's next read finds the end.
 *
 * When memory runs out for one connection's queue, the others get everything, the pool stays
 * corked, and nothing is lost or sent twice: call again. Uncorking a pool that is not corked does
 * nothing.
 *
 * @param pool  the pool
 * @return 0; or -1 with the pool still corked and errno EINVAL (pool is NULL) or ENOMEM
 *
 * Preconditions:
 * As for add_msg.
 */
int chat_uncork(conn_pool_t *pool);

/**
 * Limits how many bytes may be queued for one connection, in every pool of the process.
 *
 * When more bytes would be queued, the connection is cut off: its queue is dropped, its bit in
 * write_set cleared, its socket shut down, and nothing is queued for it any more. The peer gets
 * what the kernel had taken, without a gap, and then the end (TCP may drop some of it at the end
 * if the peer goes on sending). The program's next read from the connection finds the end, too,
 * and the program removes the connection in the ordinary way.
 *
 * Before it comes to that, the queue is counted (a program may have taken messages out by itself)
 * and the kernel is asked to take some. A message for a connection with an empty queue is queued
 * whatever its length. A message counts for 64 bytes at least, since keeping it costs memory, too;
 * the memory of a queue stays below twice the limit.
 *
 * A pipe or a terminal cannot be shut down, so its peer learns of the cut-off only when the
 * program closes the descriptor, and the program may never read from it. A program with such
 * connections calls chat_get_info after it has queued messages, and remove_conn where cut_off is
 * not 0.
 *
 * Without this call the limit is 8 MiB. Any thread may call it at any time.
 *
 * @param bytes  the limit in bytes of messages; 0 for none
 */
void chat_set_max_queue(size_t bytes);

/**
 * Sets whether remove_conn prints its line, in every pool of the process. Any thread may call it
 * at any time.
 *
 * @param quiet  0 to print, which is the default; anything else not to print
 */
void chat_set_quiet(int quiet);

/**
 * Reports how far behind a connection is, how much has been sent to it, and whether it has been
 * cut off.
 *
 * The queue is counted message by message, so messages that the program has taken out by itself do
 * not count. Nor does the batch of a corked pool (see chat_cork), until it is delivered.
 *
 * @param sd    the descriptor
 * @param pool  the pool
 * @param info  the memory for the answer
 * @return 0; or -1 with nothing written and errno EINVAL (pool or info is NULL) or ENOENT (sd
 *         is not in the pool)
 *
 * Preconditions:
 * As for add_msg. info is NULL, or memory for the answer that may be written.
 */
int chat_get_info(int sd, conn_pool_t *pool, chat_conn_info_t *info);

/**
 * The version of the library, as in "1.0.0". The three numbers follow Semantic Versioning.
 *
 * @return a string that lives as long as the program
 */
const char *chat_version(void);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* CHAT_SERVER_EXT_H */
