/*
 * chatServer.h - the connection pool of a select() chat server.
 *
 * A program waits in select() on the sets of a pool, accepts newcomers and adds them with
 * add_conn, reads what a client sends, queues it for all others with add_msg, and hands out what
 * is queued with write_msg. Everything happens in the caller's thread; no function blocks, exits
 * or raises a signal, and only remove_conn prints. Every function returns 0, or -1 with errno set.
 *
 * Generated from src/ffi.rs by `make header`; change it there.
 */

#ifndef CHAT_SERVER_H
#define CHAT_SERVER_H

#include <sys/select.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A suitable size for a buffer to read into, in bytes. The library itself has no use for it.
 */
#define BUFFER_SIZE 4096

/**
 * A message in the queue of one connection. Messages are never shared between queues.
 *
 * The struct and the bytes are an allocation each, from malloc: a program that empties a queue
 * by itself gives both to free().
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
   * The bytes still to be sent, from the start of their allocation; any bytes, no NUL added.
   */
  char *message;
  /**
   * How many bytes those are.
   */
  int size;
};

/**
 * A connection: one descriptor in the pool and the messages that wait for it.
 *
 * It is made by add_conn, keeps its address until remove_conn, and is larger than what is shown
 * here: it must be neither copied nor made by the program. A program that takes down its
 * connections by itself gives each to free(), after the messages.
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
   * The message to be sent first; NULL when nothing waits.
   */
  struct msg *write_msg_head;
  /**
   * The message to be sent last; of no meaning when write_msg_head is NULL.
   */
  struct msg *write_msg_tail;
};

/**
 * The pool: everybody in the room, and the descriptor sets for select().
 *
 * The memory is the caller's (static, on the stack or from malloc), and init_pool makes a pool
 * of it. There is nothing to destroy: a pool whose connections are all removed owns nothing.
 * Pools are independent of each other, and each may have a thread of its own; one pool is for
 * one thread at a time.
 *
 * A program may read every field, and write the sets, maxfd and nready. It usually copies
 * read_set and write_set to ready_read_set and ready_write_set, and gives select() the copies.
 */
struct conn_pool {
  /**
   * The highest descriptor that select() has to look at; 0 when there is none.
   */
  int maxfd;
  /**
   * How many descriptors select() found ready. The caller's: the library leaves it alone.
   */
  int nready;
  /**
   * The descriptors to read from.
   */
  fd_set read_set;
  /**
   * Those of them that select() found readable.
   */
  fd_set ready_read_set;
  /**
   * The descriptors with messages queued for them.
   */
  fd_set write_set;
  /**
   * Those of them that select() found writable.
   */
  fd_set ready_write_set;
  /**
   * The connections, oldest first; NULL when there is none.
   */
  struct conn *conn_head;
  /**
   * How many connections there are. A program that takes one out of the list by itself
   * counts it off here, or at least takes its descriptor out of read_set.
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
 * Makes an empty pool of the memory at pool: every field zero, maxfd included.
 *
 * What was in the memory is neither read nor freed, so it may be fresh from malloc. Call it on
 * a pool in use only after its connections have been removed or freed.
 *
 * @param pool  where the pool is to be
 * @return 0; or -1 with errno EINVAL when pool is NULL
 *
 * Preconditions:
 * pool is NULL, or memory of a pool's size and alignment that may be written.
 */
int init_pool(conn_pool_t *pool);

/**
 * Adds a descriptor to the pool, at the end of the list.
 *
 * It goes into read_set, maxfd is raised where need be, and nr_conns grows by one. The other
 * sets, nready and the descriptor's own flags stay as they are: a blocking descriptor is welcome
 * and stays blocking. A listening socket may be added like any other; messages are never queued
 * for it. Whether sd is open is not looked at. The descriptor belongs to the pool until
 * remove_conn closes it; on failure it stays the caller's, open.
 *
 * Unlike the original, it refuses what select() has no room for, and a descriptor that is in
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
 * Takes a connection out of the pool, frees it with all that is queued for it, and closes its
 * descriptor.
 *
 * It prints "removing connection with sd N " and a newline on standard output, unless the
 * descriptor is a listening socket. The descriptor leaves all four sets. When it was the
 * highest, maxfd falls to the highest one left in read_set or in the list, or to 0. No other
 * connection moves, so a program that walks the list may go on with a next it took before.
 *
 * Unlike the original, it also clears the ready sets, so that the rest of a pass does not serve
 * a newcomer who was given the same number; and it ends whatever the length of the queue.
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
 * Queues a message for everyone in the pool but its sender and but listening sockets.
 *
 * Everyone gets a copy of their own of exactly len bytes, whatever bytes they are, and a bit in
 * write_set. The buffer stays the caller's and is never written to; it lacks a const because it
 * lacks one in the original's header. Sending is write_msg's part. All or nothing: when memory
 * runs out, nobody has got the message.
 *
 * A reader for whom more than 8 MiB would wait, and the kernel takes none of it, is cut off: its
 * queue is dropped, its bit cleared, its socket shut down, and nothing is queued for it any more.
 * The program's next read from it finds the end. chatServerExt.h has the setting.
 *
 * Unlike the original, it does not stop at a NUL byte, leaves the sender's own bit in write_set
 * alone (something may be queued for the sender too), and never touches ready_write_set.
 *
 * @param sd      the sender, who gets no copy; need not be in the pool
 * @param buffer  the message
 * @param len     its length in bytes; for 0 nothing is queued
 * @param pool    the pool
 * @return 0; or -1 with nothing queued and errno EINVAL (pool is NULL, sd or len negative, or
 *         buffer NULL with a length) or ENOMEM
 *
 * Preconditions:
 * As for add_conn. When len is above 0, there are so many readable bytes at buffer.
 */
int add_msg(int sd, char *buffer, int len, conn_pool_t *pool);

/**
 * Sends what is queued for a connection, until nothing is left or the kernel takes no more.
 *
 * It never blocks and never raises SIGPIPE, whatever the descriptor's flags. Queued messages are
 * gathered, so that one system call carries many. When all is sent, the bit in write_set is
 * cleared. When the kernel takes no more, the rest stays queued and the bit stays: call again
 * when select() says that the descriptor is writable. Of a message sent in part the rest is
 * moved to the start of its allocation, and size says how much that is.
 *
 * Where something is left because the kernel gave an error, errno says which, although 0 is
 * returned: set it to 0 before to know. After ENOBUFS or ENOMEM the kernel is short of memory, and
 * select() may call the descriptor writable all the same, so a program tries again after a while
 * and not at once.
 *
 * When the peer is gone, the queue is dropped and the bit cleared; the connection stays until
 * the program's own read finds the end and calls remove_conn. A stream socket is shut for writing
 * then: should there be a peer after all, it hears a stream without a hole, and the end.
 *
 * A descriptor that is no socket (a pipe, a terminal) and that is blocking is made non-blocking
 * for the moment of the write.
 *
 * Unlike the original, which calls this function write_to_client, it waits for nobody: a slow
 * reader is not the room's business.
 *
 * @param sd    the descriptor
 * @param pool  the pool
 * @return 0, also when something is left or nothing was queued; or -1 with errno EINVAL (pool is
 *         NULL), ENOENT (sd is not in the pool), or why sending failed, EPIPE or ECONNRESET
 *         mostly
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
 * As add_msg, but every copy has its ASCII letters in capitals. The buffer is not changed.
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
