/**
 * @file
 * @brief The connection pool of a select() chat server.
 *
 * A program waits in select() on the sets of a pool, accepts clients and adds them with add_conn,
 * reads what a client sends, queues it for all others with add_msg, and sends what is queued with
 * write_msg. Everything happens in the caller's thread. Every function returns 0, or -1 with errno
 * set. A call that succeeds leaves errno as it was; write_msg has the one exception.
 *
 * No function blocks, exits or raises a signal, except remove_conn, which tells what its line on
 * standard output and SO_LINGER may do.
 *
 * Below, "the original" is the chatServer.h of a widespread exercise, with the five functions as
 * they are usually written for it.
 */

/* Generated from src/abi.rs and src/ffi.rs by `make header`; change it there. */

#ifndef CHAT_SERVER_H
#define CHAT_SERVER_H

#include <sys/select.h>

/* With other sets than the library's, FD_SET would write beside them. */
#if FD_SETSIZE != 1024
#error "FD_SETSIZE is 1024 in libchatserver"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A suitable size for a buffer to read into, in bytes. The library itself does not use it.
 */
#define BUFFER_SIZE 4096

/**
 * A message in the queue of one connection. Messages are never shared between queues.
 *
 * The struct and the bytes are two allocations from malloc: a program that empties a queue by
 * itself passes both to free().
 */
struct msg {
  /**
   * The message queued before this one; NULL at the head.
   */
  struct msg *prev;
  /**
   * The message queued after this one; NULL at the tail.
   */
  struct msg *next;
  /**
   * The bytes still to be sent, from the start of their allocation. They may have any values,
   * and no NUL is added.
   */
  char *message;
  /**
   * How many bytes are still to be sent.
   */
  int size;
};

/**
 * A connection: one descriptor in the pool and the messages queued for it.
 *
 * It is made by add_conn, keeps its address until remove_conn, and is larger than what is shown
 * here: a program must neither copy nor make one. A program that takes down its connections by
 * itself passes each to free(), after the messages.
 */
struct conn {
  /**
   * The connection added before this one; NULL at the head.
   */
  struct conn *prev;
  /**
   * The connection added after this one; NULL at the end.
   */
  struct conn *next;
  /**
   * The descriptor.
   */
  int fd;
  /**
   * The message to be sent first; NULL when the queue is empty.
   */
  struct msg *write_msg_head;
  /**
   * The message to be sent last; meaningless when write_msg_head is NULL.
   */
  struct msg *write_msg_tail;
};

/**
 * A pool: the connections of a chat room, and the descriptor sets for select().
 *
 * The memory is the caller's (static, on the stack or from malloc), and init_pool makes a pool
 * of it. There is no destroy call: a pool whose connections are all removed owns nothing.
 * Pools are independent of each other, and each may be used by a thread of its own; one pool must
 * be used by one thread at a time.
 *
 * A program may read every field, and write the sets, maxfd and nready. It usually copies
 * read_set and write_set to ready_read_set and ready_write_set, and passes the copies to select().
 */
struct conn_pool {
  /**
   * The highest descriptor that select() has to look at; 0 when there is none.
   */
  int maxfd;
  /**
   * How many descriptors select() found ready. The library leaves it to the caller.
   */
  int nready;
  /**
   * The descriptors to read from.
   */
  fd_set read_set;
  /**
   * The descriptors of read_set that select() found readable.
   */
  fd_set ready_read_set;
  /**
   * The descriptors with messages queued for them.
   */
  fd_set write_set;
  /**
   * The descriptors of write_set that select() found writable.
   */
  fd_set ready_write_set;
  /**
   * The connections, oldest first; NULL when there is none.
   */
  struct conn *conn_head;
  /**
   * How many connections there are. A program that takes one out of the list by itself must
   * lower this count, or at least take the descriptor out of read_set and leave it out until
   * add_conn adds that number.
   */
  unsigned int nr_conns;
};

/**
 * The same as struct conn_pool.
 */
typedef struct conn_pool conn_pool_t;

/**
 * The same as struct msg.
 */
typedef struct msg msg_t;

/**
 * The same as struct conn.
 */
typedef struct conn conn_t;

/**
 * Makes an empty pool of the memory at pool: sets every field to zero, maxfd included.
 *
 * The old contents of the memory are neither read nor freed, so it may be fresh from malloc. Call
 * it on a pool in use only after its connections have been removed or freed.
 *
 * @param pool  the memory for the pool
 * @return 0; or -1 with errno EINVAL when pool is NULL
 *
 * Preconditions:
 * pool is NULL, or memory of a pool's size and alignment that may be written.
 */
int init_pool(conn_pool_t *pool);

/**
 * Adds a descriptor to the pool, at the end of the list.
 *
 * It goes into read_set, maxfd is raised where necessary, and nr_conns grows by one. The other
 * sets, nready and the descriptor's own flags stay as they are: a blocking descriptor is accepted
 * and stays blocking. A listening socket may be added like any other descriptor; messages are
 * never queued for it. The function does not check whether sd is open. The descriptor belongs to
 * the pool until remove_conn closes it; on failure it stays the caller's, open.
 *
 * Unlike the original, it refuses a descriptor that is too high for select(), and one that is in
 * the pool already.
 *
 * @param sd    a socket, or any descriptor that can be read and written
 * @param pool  the pool
 * @return 0; or -1 with nothing changed and errno EINVAL (pool is NULL or sd negative), EMFILE
 *         (sd is FD_SETSIZE or above), EEXIST (sd is in the pool) or ENOMEM
 *
 * Preconditions:
 * pool is NULL, or init_pool has made it; then its lists are sound, and no other thread is
 * using it.
 */
int add_conn(int sd, conn_pool_t *pool);

/**
 * Removes a connection from the pool, frees it with everything queued for it, and closes its
 * descriptor.
 *
 * It prints "removing connection with sd N " and a newline on standard output, unless the
 * descriptor is a listening socket. The line goes through the program's own stdio: it stays in the
 * buffer of stdout as long as the program's own output does, and keeps its place in that. Where
 * standard output is a full pipe, writing it waits for the pipe's reader, and where it is a broken
 * pipe, it raises SIGPIPE, as a printf of the program's would. chat_set_quiet turns the line off.
 * That the program has closed the descriptor already is no failure. Where the program has set
 * SO_LINGER with a time, closing the socket waits for the peer, as close() does.
 *
 * The descriptor leaves all four sets. When it was the highest, maxfd falls to the highest one
 * left in read_set or in the list, or to 0. No other connection moves, so a program that walks
 * the list may go on with a next pointer that it read before.
 *
 * Unlike the original, it also clears the ready sets, so that the remaining part of a pass does
 * not serve a new client that was given the same number; and it returns however long the queue
 * is.
 *
 * @param sd    the descriptor
 * @param pool  the pool
 * @return 0; or -1 with nothing printed or changed and errno EINVAL (pool is NULL) or ENOENT
 *         (sd is not in the pool)
 *
 * Preconditions:
 * As for add_conn. Nobody uses the connection or its messages afterwards.
 */
int remove_conn(int sd, conn_pool_t *pool);

/**
 * Queues a message for every connection in the pool except the sender and listening sockets.
 *
 * Each of them gets its own copy of exactly len bytes, whatever their values, and its bit in
 * write_set is set. The buffer stays the caller's and is never written to; it is not const because
 * the original's header declares it so. write_msg does the sending. The call does all or nothing:
 * when memory runs out, nobody gets the message.
 *
 * A reader for which more than 8 MiB would be queued is cut off, unless the kernel takes enough of
 * them at once. chat_set_max_queue in chatServerExt.h tells what that means, and sets the limit.
 *
 * Unlike the original, it does not stop at a NUL byte, leaves the sender's own bit in write_set
 * alone (messages may be queued for the sender, too), and never touches ready_write_set.
 *
 * @param sd      the sender, which gets no copy; it need not be in the pool
 * @param buffer  the message
 * @param len     its length in bytes; for 0 nothing is queued, and the -1 of a failed read() is
 *                refused with EINVAL
 * @param pool    the pool
 * @return 0; or -1 with nothing queued and errno EINVAL (pool is NULL, sd or len negative, or
 *         buffer NULL with a length) or ENOMEM
 *
 * Preconditions:
 * As for add_conn. When len is above 0, there are so many readable bytes at buffer.
 */
int add_msg(int sd, char *buffer, int len, conn_pool_t *pool);

/**
 * Sends what is queued for a connection, until the queue is empty or the kernel takes no more.
 *
 * It never blocks, whatever the descriptor's flags, and never raises a signal (SIGPIPE, or SIGXFSZ
 * for a file, or SIGTTOU for a terminal). Queued messages are gathered, so that one system call
 * carries many; a call that a signal interrupts is made again. When everything has been sent, the
 * bit in write_set is cleared. When the kernel takes no more, the remaining messages stay queued
 * and the bit stays set: call again when select() reports the descriptor writable. When only part
 * of a message was sent, the other part is moved to the start of its allocation, and size says how
 * many bytes that is.
 *
 * Where something is left because the kernel returned an error, errno says which, although the
 * function returns 0: set errno to 0 before the call to tell. After ENOBUFS or ENOMEM the kernel
 * is short of memory, and select() may report the descriptor writable all the same, so a program
 * should try again after a delay and not at once. In all other cases a function of this library
 * that succeeds leaves errno as it was.
 *
 * When the peer is gone, the queue is dropped and the bit cleared; the connection stays until the
 * program's own read finds the end and it calls remove_conn. A stream socket is also shut down for
 * writing: should there be a peer after all, it reads a stream without a gap, and then the end.
 *
 * A descriptor that is not a socket (a pipe, a terminal) and that is blocking is made non-blocking
 * for the duration of the write.
 *
 * Unlike the original, which calls this function write_to_client, it never waits: a slow reader
 * does not hold up the others.
 *
 * @param sd    the descriptor
 * @param pool  the pool
 * @return 0, also when something is left or nothing was queued; or -1 with errno EINVAL (pool is
 *         NULL), ENOENT (sd is not in the pool), ENOBUFS (the connection has been cut off), or
 *         the error of sendmsg() or writev(), mostly EPIPE or ECONNRESET
 *
 * Preconditions:
 * As for add_conn.
 */
int write_msg(int sd, conn_pool_t *pool);

/**
 * The same as write_msg, under the name that the original header has for it.
 *
 * Preconditions:
 * As for write_msg.
 */
int write_to_client(int sd, conn_pool_t *pool);

/**
 * The same as init_pool.
 *
 * Preconditions:
 * As for init_pool.
 */
int initPool(conn_pool_t *pool);

/**
 * The same as add_conn.
 *
 * Preconditions:
 * As for add_conn.
 */
int addConn(int sd, conn_pool_t *pool);

/**
 * The same as remove_conn.
 *
 * Preconditions:
 * As for remove_conn.
 */
int removeConn(int sd, conn_pool_t *pool);

/**
 * The same as add_msg, except that the ASCII letters of every copy become capitals. The buffer is
 * not changed.
 *
 * Preconditions:
 * As for add_msg.
 */
int addMsg(int sd, char *buffer, int len, conn_pool_t *pool);

/**
 * The same as write_msg.
 *
 * Preconditions:
 * As for write_msg.
 */
int writeToClient(int sd, conn_pool_t *pool);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* CHAT_SERVER_H */
