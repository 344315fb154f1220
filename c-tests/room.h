/*
 * room.h - clients on real sockets, guarded pools, signals and captured output for the tests.
 */

#ifndef ROOM_H
#define ROOM_H

#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "check.h"
#include "lists.h"

/* A sender that is not in the pool, so that every connection is a recipient. */
enum { OUTSIDER = INT_MAX };

/* A member of the pool: its descriptor there, and the other end of the connection. */
struct client {
	int sd, peer;
};

static inline struct client connect_client(void)
{
	int pair[2];

	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	return (struct client){ .sd = pair[0], .peer = pair[1] };
}

static inline struct client join(conn_pool_t *pool)
{
	struct client client = connect_client();

	CHECK_EQ(add_conn(client.sd, pool), 0);
	return client;
}

static inline void join_all(struct client clients[], int count, conn_pool_t *pool)
{
	int at;

	for (at = 0; at < count; at++)
		clients[at] = join(pool);
}

/* Makes a pool with so many clients. */
static inline void open_room(struct client clients[], int count, conn_pool_t *pool)
{
	CHECK_EQ(init_pool(pool), 0);
	join_all(clients, count, pool);
}

static inline void leave(struct client client, conn_pool_t *pool)
{
	CHECK_EQ(remove_conn(client.sd, pool), 0);
	CHECK_EQ(close(client.peer), 0);
}

static inline void leave_all(struct client clients[], int count, conn_pool_t *pool)
{
	int at;

	for (at = 0; at < count; at++)
		leave(clients[at], pool);
}

/* A pool with guard bytes on both sides, which show a write beside it. */
struct guarded {
	unsigned char before[256];
	conn_pool_t pool;
	unsigned char after[256];
};

enum { GUARD = 0x5A };

static inline void check_guards(const struct guarded *guarded)
{
	size_t at;

	for (at = 0; at < sizeof guarded->before; at++)
		CHECK(guarded->before[at] == GUARD && guarded->after[at] == GUARD);
}

/* Runs a test in a new pool, which must be left empty, and nothing beside it changed. */
static inline void with_pool(void (*test)(conn_pool_t *pool))
{
	struct guarded guarded;

	memset(&guarded, GUARD, sizeof guarded);
	CHECK_EQ(init_pool(&guarded.pool), 0);
	test(&guarded.pool);
	CHECK(guarded.pool.conn_head == NULL);
	check_guards(&guarded);
}

/* Defines a test in a new pool. */
#define TEST_WITH_POOL(test)                           \
	static void test##_in_pool(conn_pool_t *pool); \
	TEST(test)                                     \
	{                                              \
		with_pool(test##_in_pool);             \
	}                                              \
	static void test##_in_pool(conn_pool_t *pool)

/* Defines a test with so many clients, which must stay to the end. */
#define TEST_WITH_CLIENTS(test, count)                                       \
	static void test##_with(struct client clients[], conn_pool_t *pool); \
	TEST_WITH_POOL(test)                                                 \
	{                                                                    \
		struct client clients[count];                                \
                                                                             \
		join_all(clients, count, pool);                              \
		test##_with(clients, pool);                                  \
		leave_all(clients, count, pool);                             \
	}                                                                    \
	static void test##_with(struct client clients[], conn_pool_t *pool)

/* Defines a test with one client, which `join_by` makes, and which must stay to the end. */
#define TEST_WITH_CLIENT_BY(join_by, test)                                \
	static void test##_with(struct client client, conn_pool_t *pool); \
	TEST_WITH_POOL(test)                                              \
	{                                                                 \
		struct client client = join_by(pool);                     \
                                                                          \
		test##_with(client, pool);                                \
		leave(client, pool);                                      \
	}                                                                 \
	static void test##_with(struct client client, conn_pool_t *pool)

#define TEST_WITH_CLIENT(test) TEST_WITH_CLIENT_BY(join, test)

/* A TCP socket on a free port of the loopback address; it does not listen yet. */
static inline int bind_to_loopback(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int sd = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(sd != -1);
	CHECK_EQ(bind(sd, (struct sockaddr *)&address, sizeof address), 0);
	return sd;
}

static inline int listen_on_loopback(void)
{
	int sd = bind_to_loopback();

	CHECK_EQ(listen(sd, 16), 0);
	return sd;
}

/* A socket that is connected to the listener, which has yet to accept it. */
static inline int connect_to(int listener)
{
	struct sockaddr_in address;
	socklen_t size = sizeof address;
	int sd = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(sd != -1);
	CHECK_EQ(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	CHECK_EQ(connect(sd, (struct sockaddr *)&address, size), 0);
	return sd;
}

static inline struct client join_over_tcp(conn_pool_t *pool)
{
	struct client client;
	int listener = listen_on_loopback();

	client.peer = connect_to(listener);
	client.sd = accept(listener, NULL, NULL);
	CHECK(client.sd != -1);
	close(listener);
	CHECK_EQ(add_conn(client.sd, pool), 0);
	return client;
}

static inline bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

/* Whether select() would call the descriptor readable now. */
static inline bool is_readable(int fd)
{
	struct pollfd look = { .fd = fd, .events = POLLIN };

	return poll(&look, 1, 0) == 1 && (look.revents & POLLIN) != 0;
}

/* Waits until the peer can read, or something queued can be written. */
static inline void wait_for(struct client client, const conn_pool_t *pool)
{
	const bool writing = FD_ISSET(client.sd, &pool->write_set);
	struct pollfd either[] = { { .fd = client.peer, .events = POLLIN },
		                   { .fd = client.sd, .events = writing ? POLLOUT : 0 } };

	CHECK(poll(either, 2, -1) > 0);
}

/* Reads what has arrived, `size` bytes at most, and returns how much that was. */
static inline size_t read_available(int fd, char *buffer, size_t size)
{
	size_t received = 0;

	while (received < size && is_readable(fd)) {
		ssize_t count = read(fd, buffer + received, size - received);

		CHECK(count >= 0);
		if (count == 0)
			break;
		received += (size_t)count;
	}
	return received;
}

/* Checks that exactly these bytes have arrived. */
static inline void check_receives(int fd, const void *bytes, size_t size)
{
	char *received = malloc(size + 1);

	CHECK_EQ(read_available(fd, received, size + 1), size);
	CHECK(size == 0 || memcmp(received, bytes, size) == 0);
	free(received);
}

/* Byte number `at` of a stream in which a lost, doubled or swapped piece shows. */
static inline char pattern(size_t at)
{
	return (char)(at * 7 + at / 251 * 13 + at / 65521);
}

/* Fills the buffer with the stream from `start` on. */
static inline void fill(char *buffer, size_t size, size_t start)
{
	size_t at;

	for (at = 0; at < size; at++)
		buffer[at] = pattern(start + at);
}

/* Checks that the buffer holds the stream from `start` on. */
static inline void check_pattern(const char *buffer, size_t size, size_t start)
{
	size_t at;

	for (at = 0; at < size; at++)
		CHECK_EQ(buffer[at], pattern(start + at));
}

/* Queues so many bytes of the stream, from `start` on, for all. */
static inline void queue_pattern(size_t start, size_t size, conn_pool_t *pool)
{
	char *bytes = malloc(size);

	fill(bytes, size, start);
	CHECK_EQ(add_msg(OUTSIDER, bytes, (int)size, pool), 0);
	free(bytes);
}

/* Sends a message without its terminating NUL. */
static inline void say_text(int sd, const char *text, conn_pool_t *pool)
{
	char copy[64];

	strcpy(copy, text);
	CHECK_EQ(add_msg(sd, copy, (int)strlen(copy), pool), 0);
}

/* Writes and reads by turns until the stream of `size` bytes, which is queued, has arrived. No call
 * may move a message in its block, or change the descriptor's flags. Returns after how many calls
 * something was still queued. */
static inline int check_stream(struct client client, size_t size, conn_pool_t *pool)
{
	const conn_t *conn = conn_of(client.sd, pool);
	int flags = fcntl(client.sd, F_GETFL), waits = 0;
	char *received = malloc(size + 1);
	size_t count = 0;

	while (count < size) {
		const msg_t *head = conn->write_msg_head;
		const char *start = head != NULL ? head->message : NULL;

		CHECK_EQ(write_msg(client.sd, pool), 0);
		CHECK_EQ(fcntl(client.sd, F_GETFL), flags);
		check_queue_sound(conn);
		CHECK(head == NULL || conn->write_msg_head != head || head->message == start);
		CHECK_EQ(FD_ISSET(client.sd, &pool->write_set) != 0, conn->write_msg_head != NULL);
		waits += conn->write_msg_head != NULL;
		wait_for(client, pool);
		count += read_available(client.peer, received + count, size + 1 - count);
	}
	CHECK_EQ(count, size);
	check_pattern(received, size, 0);
	CHECK(conn->write_msg_head == NULL && conn->write_msg_tail == NULL);
	free(received);
	return waits;
}

/* Makes the socket's send buffer as small as the kernel allows, so that it is soon full. */
static inline void shrink_send_buffer(int sd)
{
	const int size = 4096;

	CHECK_EQ(setsockopt(sd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
}

/* How many messages are queued for the descriptor. */
static inline int queued(int sd, const conn_pool_t *pool)
{
	const msg_t *msg;
	int count = 0;

	CHECK(conn_of(sd, pool) != NULL);
	for (msg = conn_of(sd, pool)->write_msg_head; msg != NULL; msg = msg->next)
		count++;
	return count;
}

/* Checks that writing does not wait for a blocking descriptor that is full, and changes nothing.
 * The peer does not read, so a call that blocks ends the test by its alarm. */
static inline void check_full(struct client client, conn_pool_t *pool)
{
	int (*const names[])(int, conn_pool_t *) = { write_msg, write_to_client, writeToClient };
	int flags = fcntl(client.sd, F_GETFL), at;
	struct snapshot before;

	CHECK_EQ(flags & O_NONBLOCK, 0);
	queue_pattern(0, 30000, pool);
	CHECK_EQ(write_msg(client.sd, pool), 0);
	/* Some more may fit into a page of a pipe that is not full. */
	CHECK_EQ(write_msg(client.sd, pool), 0);
	CHECK(queued(client.sd, pool) > 0);
	before = take_snapshot(pool);
	for (at = 0; at < 3; at++) {
		CHECK_EQ(names[at](client.sd, pool), 0);
		CHECK(is_unchanged(&before, pool));
		CHECK(FD_ISSET(client.sd, &pool->write_set));
		CHECK_EQ(fcntl(client.sd, F_GETFL), flags);
	}
}

static inline void free_msg(msg_t *msg)
{
	free(msg->message);
	free(msg);
}

/* Takes the first message out of a queue, as a program that sends it without write_msg does. */
static inline msg_t *pop(conn_t *conn)
{
	msg_t *msg = conn->write_msg_head;

	conn->write_msg_head = msg->next;
	if (msg->next != NULL)
		msg->next->prev = NULL;
	else
		conn->write_msg_tail = NULL;
	return msg;
}

/* Takes a conn out of the pool's list, and does no more than that. */
static inline void unlink_conn(const conn_t *conn, conn_pool_t *pool)
{
	if (conn->prev != NULL)
		conn->prev->next = conn->next;
	else
		pool->conn_head = conn->next;
	if (conn->next != NULL)
		conn->next->prev = conn->prev;
}

static inline void free_conn(conn_t *conn)
{
	while (conn->write_msg_head != NULL)
		free_msg(pop(conn));
	free(conn);
}

/* Checks that a message reaches all clients. */
static inline void check_in_touch(struct client clients[], int count, conn_pool_t *pool)
{
	int at;

	CHECK_EQ(add_msg(OUTSIDER, "hello", 5, pool), 0);
	for (at = 0; at < count; at++) {
		CHECK(FD_ISSET(clients[at].sd, &pool->write_set));
		CHECK_EQ(write_msg(clients[at].sd, pool), 0);
		check_receives(clients[at].peer, "hello", 5);
	}
}

/* Overwrites the fields that add_conn, add_msg and write_msg must leave alone. */
static inline void fill_caller_fields(conn_pool_t *pool, unsigned char bits)
{
	memset(&pool->ready_read_set, bits, sizeof pool->ready_read_set);
	memset(&pool->ready_write_set, bits, sizeof pool->ready_write_set);
	pool->nready = bits;
}

static inline sigset_t only_sigpipe(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	return set;
}

/* Makes SIGPIPE end the process, as it does by default. */
static inline void set_sigpipe_to_default(void)
{
	const sigset_t set = only_sigpipe();

	CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
	CHECK_EQ(sigprocmask(SIG_UNBLOCK, &set, NULL), 0);
}

static inline void block_sigpipe(void)
{
	const sigset_t set = only_sigpipe();

	CHECK_EQ(sigprocmask(SIG_BLOCK, &set, NULL), 0);
}

static inline bool is_sigpipe_pending(void)
{
	sigset_t pending;

	CHECK_EQ(sigpending(&pending), 0);
	return sigismember(&pending, SIGPIPE) == 1;
}

/* The signals that are blocked, a bit for each. */
static inline long blocked_signals(void)
{
	unsigned long blocked = 0;
	sigset_t mask;
	int number;

	CHECK_EQ(sigprocmask(SIG_BLOCK, NULL, &mask), 0);
	for (number = 1; number <= 64; number++)
		blocked |= (unsigned long)(sigismember(&mask, number) == 1) << (number - 1);
	return (long)blocked;
}

/* A standard stream that is redirected to a file. */
struct capture {
	FILE *stream, *file;
	int before;
};

static inline struct capture capture(FILE *stream)
{
	struct capture capture = { .stream = stream, .file = tmpfile() };

	CHECK(capture.file != NULL);
	fflush(stream);
	capture.before = dup(fileno(stream));
	CHECK(capture.before != -1);
	CHECK(dup2(fileno(capture.file), fileno(stream)) != -1);
	return capture;
}

/* Ends the capture, and checks that exactly this was printed. */
static inline void check_printed(struct capture capture, const char *text)
{
	char printed[4096];
	ssize_t count;

	fflush(capture.stream);
	CHECK(dup2(capture.before, fileno(capture.stream)) != -1);
	close(capture.before);
	count = pread(fileno(capture.file), printed, sizeof printed - 1, 0);
	CHECK(count >= 0);
	printed[count] = '\0';
	if (strcmp(printed, text) != 0)
		fprintf(stderr, "printed: \"%s\", and not: \"%s\"\n", printed, text);
	CHECK(strcmp(printed, text) == 0);
	fclose(capture.file);
}

#endif /* ROOM_H */
