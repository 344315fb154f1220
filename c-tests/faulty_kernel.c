/* A kernel that takes a byte at a time, is full, is interrupted or reports a broken connection,
 * at every point where that may happen.
 *
 * The linker leads the library's calls to the functions below.
 * link: -Wl,--wrap=send,--wrap=sendmsg,--wrap=writev
 */

#include <sys/stat.h>
#include <sys/uio.h>

#include "room.h"

enum { MOST_ACTS = 512 };

/* What the kernel does in one call: takes so many bytes at most, or fails for a reason. */
struct act {
	int takes;
	int error;
};

/* What it does in the calls to come; after these it works as ever. */
static struct act acts[MOST_ACTS];
static int nr_acts, next_act;

static void plan(struct act act)
{
	CHECK(nr_acts < MOST_ACTS);
	acts[nr_acts++] = act;
}

static void forget_plans(void)
{
	nr_acts = next_act = 0;
}

/* The first `most` bytes of what was to be sent. */
static size_t cut(const struct iovec *pieces, size_t count, size_t most, char *bytes)
{
	size_t size = 0, at;

	for (at = 0; at < count && size < most; at++) {
		size_t left = most - size;
		size_t length = pieces[at].iov_len < left ? pieces[at].iov_len : left;

		memcpy(bytes + size, pieces[at].iov_base, length);
		size += length;
	}
	return size;
}

ssize_t __real_sendmsg(int sd, const struct msghdr *header, int flags);
ssize_t __wrap_sendmsg(int sd, const struct msghdr *header, int flags);
ssize_t __wrap_sendmsg(int sd, const struct msghdr *header, int flags)
{
	const struct act *act = next_act < nr_acts ? &acts[next_act] : NULL;
	char bytes[MOST_ACTS];
	struct stat status;

	/* The way to find out that it is no socket is no act of its own. */
	if (act == NULL || (fstat(sd, &status) == 0 && !S_ISSOCK(status.st_mode)))
		return __real_sendmsg(sd, header, flags);
	next_act++;
	if (act->error != 0) {
		errno = act->error;
		return -1;
	}
	return sendto(sd, bytes, cut(header->msg_iov, header->msg_iovlen, (size_t)act->takes, bytes),
	              flags, NULL, 0);
}

ssize_t __wrap_send(int sd, const void *bytes, size_t size, int flags);
ssize_t __wrap_send(int sd, const void *bytes, size_t size, int flags)
{
	struct iovec piece = { .iov_base = (void *)bytes, .iov_len = size };
	struct msghdr header = { .msg_iov = &piece, .msg_iovlen = 1 };

	return __wrap_sendmsg(sd, &header, flags);
}

ssize_t __real_writev(int fd, const struct iovec *pieces, int count);
ssize_t __wrap_writev(int fd, const struct iovec *pieces, int count);
ssize_t __wrap_writev(int fd, const struct iovec *pieces, int count)
{
	const struct act *act = next_act < nr_acts ? &acts[next_act++] : NULL;
	char bytes[MOST_ACTS];

	if (act == NULL)
		return __real_writev(fd, pieces, count);
	if (act->error != 0) {
		errno = act->error;
		return -1;
	}
	return write(fd, bytes, cut(pieces, (size_t)count, (size_t)act->takes, bytes));
}

/* What is queued in every test: three messages. */
static const char text[] = "one, twotwo, threethreethree";
enum { SIZE = sizeof text - 1, ENDS_FIRST = 3, ENDS_SECOND = 11 };

static void say_text(conn_pool_t *pool)
{
	char *bytes = (char *)text;

	CHECK_EQ(add_msg(NOBODY, bytes, ENDS_FIRST, pool), 0);
	CHECK_EQ(add_msg(NOBODY, bytes + ENDS_FIRST, ENDS_SECOND - ENDS_FIRST, pool), 0);
	CHECK_EQ(add_msg(NOBODY, bytes + ENDS_SECOND, SIZE - ENDS_SECOND, pool), 0);
}

/* A descriptor in the pool that is no socket. */
static struct client join_by_pipe(conn_pool_t *pool)
{
	int ends[2];

	CHECK_EQ(pipe(ends), 0);
	CHECK_EQ(add_conn(ends[1], pool), 0);
	return (struct client){ .sd = ends[1], .peer = ends[0] };
}

typedef struct client way_in(conn_pool_t *pool);

/* Checks that the text from byte `sent` on waits, and nothing else, in blocks that have not
 * moved. `msgs` are the three messages as they were queued. */
static void check_waiting(const conn_t *conn, size_t sent, msg_t *const msgs[3],
                          char *const blocks[3], const conn_pool_t *pool)
{
	static const size_t ends[] = { ENDS_FIRST, ENDS_SECOND, SIZE };
	const msg_t *msg = conn->write_msg_head;
	size_t start = 0;
	int at;

	check_queue_sound(conn);
	CHECK_EQ(FD_ISSET(conn->fd, &pool->write_set) != 0, sent < SIZE);
	for (at = 0; at < 3; start = ends[at++]) {
		size_t from = sent > start ? sent : start;

		if (from >= ends[at])
			continue;
		CHECK(msg == msgs[at]);
		CHECK(msg->message == blocks[at]);
		CHECK_EQ(msg->size, ends[at] - from);
		CHECK_EQ(memcmp(msg->message, text + from, ends[at] - from), 0);
		msg = msg->next;
	}
	CHECK(msg == NULL);
	CHECK(sent < SIZE || conn->write_msg_tail == NULL);
}

/* The kernel takes `takes` bytes in the first call and then is full. */
static void check_taken_in_part(way_in *join_somehow, int takes)
{
	msg_t *msgs[3];
	char *blocks[3];
	conn_pool_t pool;
	struct client client;
	int at, flags;

	init_pool(&pool);
	client = join_somehow(&pool);
	flags = fcntl(client.sd, F_GETFL);
	say_text(&pool);
	msgs[0] = pool.conn_head->write_msg_head;
	msgs[1] = msgs[0]->next;
	msgs[2] = msgs[1]->next;
	for (at = 0; at < 3; at++)
		blocks[at] = msgs[at]->message;
	if (takes > 0)
		plan((struct act){ .takes = takes });
	plan((struct act){ .error = EAGAIN });
	CHECK_EQ(write_msg(client.sd, &pool), 0);
	CHECK_EQ(fcntl(client.sd, F_GETFL), flags);
	check_hears(client.peer, text, (size_t)takes);
	check_waiting(pool.conn_head, (size_t)takes, msgs, blocks, &pool);
	forget_plans();
	CHECK_EQ(write_msg(client.sd, &pool), 0);
	check_hears(client.peer, text + takes, (size_t)(SIZE - takes));
	CHECK(pool.conn_head->write_msg_head == NULL);
	leave(client, &pool);
}

TEST(the_kernel_may_be_full_after_every_byte)
{
	int takes;

	for (takes = 0; takes <= SIZE; takes++) {
		check_taken_in_part(join, takes);
		check_taken_in_part(join_by_pipe, takes);
	}
}

static void check_byte_at_a_time(way_in *join_somehow)
{
	struct client client;
	conn_pool_t pool;
	int at, calls = 0;

	init_pool(&pool);
	client = join_somehow(&pool);
	say_text(&pool);
	for (at = 0; at < SIZE; at++)
		plan((struct act){ .takes = 1 });
	while (pool.conn_head->write_msg_head != NULL) {
		CHECK(calls++ < SIZE);
		CHECK(FD_ISSET(client.sd, &pool.write_set));
		CHECK_EQ(write_msg(client.sd, &pool), 0);
		check_sound(&pool);
	}
	CHECK(!FD_ISSET(client.sd, &pool.write_set));
	CHECK_EQ(next_act, SIZE);
	check_hears(client.peer, text, SIZE);
	forget_plans();
	leave(client, &pool);
}

TEST(the_kernel_may_take_a_byte_at_a_time)
{
	check_byte_at_a_time(join);
	check_byte_at_a_time(join_by_pipe);
}

static void check_interrupted(way_in *join_somehow)
{
	struct client client;
	conn_pool_t pool;
	int at;

	init_pool(&pool);
	client = join_somehow(&pool);
	say_text(&pool);
	for (at = 0; at < 20; at++)
		plan((struct act){ .error = EINTR });
	CHECK_EQ(write_msg(client.sd, &pool), 0);
	CHECK_EQ(next_act, 20);
	check_hears(client.peer, text, SIZE);
	CHECK(pool.conn_head->write_msg_head == NULL);
	CHECK(!FD_ISSET(client.sd, &pool.write_set));
	forget_plans();
	leave(client, &pool);
}

TEST(an_interrupted_call_is_made_again)
{
	check_interrupted(join);
	check_interrupted(join_by_pipe);
}

/* A lack that passes: all is kept for a later try, and the bit stays. */
static void check_lack(way_in *join_somehow, int error)
{
	struct client client;
	struct picture before;
	conn_pool_t pool;

	init_pool(&pool);
	client = join_somehow(&pool);
	say_text(&pool);
	before = picture_of(&pool);
	plan((struct act){ .error = error });
	errno = 0;
	CHECK_EQ(write_msg(client.sd, &pool), 0);
	CHECK_EQ(errno, error);
	CHECK(is_as_in(&before, &pool));
	CHECK(FD_ISSET(client.sd, &pool.write_set));
	CHECK_EQ(write_msg(client.sd, &pool), 0);
	check_hears(client.peer, text, SIZE);
	forget_plans();
	leave(client, &pool);
}

TEST(a_full_kernel_or_one_short_of_memory_loses_nothing)
{
	static const int errors[] = { EAGAIN, EWOULDBLOCK, ENOBUFS, ENOMEM };
	size_t at;

	for (at = 0; at < sizeof errors / sizeof errors[0]; at++) {
		check_lack(join, errors[at]);
		check_lack(join_by_pipe, errors[at]);
	}
}

/* The peer is gone, at once or when `takes` bytes are through. */
static void check_broken(way_in *join_somehow, int error, int takes)
{
	struct client client;
	conn_pool_t pool;
	long blocked = blocked_signals();
	int flags;

	init_pool(&pool);
	client = join_somehow(&pool);
	flags = fcntl(client.sd, F_GETFL);
	say_text(&pool);
	if (takes > 0) {
		plan((struct act){ .takes = takes });
		plan((struct act){ .error = EAGAIN });
		CHECK_EQ(write_msg(client.sd, &pool), 0);
		forget_plans();
	}
	plan((struct act){ .error = error });
	CHECK_FAILS(write_msg(client.sd, &pool), error);
	CHECK(pool.conn_head->write_msg_head == NULL);
	CHECK(pool.conn_head->write_msg_tail == NULL);
	CHECK(!FD_ISSET(client.sd, &pool.write_set));
	CHECK(FD_ISSET(client.sd, &pool.read_set));
	CHECK_EQ(pool.nr_conns, 1);
	CHECK_EQ(fcntl(client.sd, F_GETFL), flags);
	CHECK_EQ(blocked_signals(), blocked);
	forget_plans();
	leave(client, &pool);
}

TEST(a_broken_connection_drops_the_queue)
{
	static const int errors[] = { EPIPE, ECONNRESET, ETIMEDOUT, EHOSTUNREACH };
	size_t at;

	for (at = 0; at < sizeof errors / sizeof errors[0]; at++) {
		check_broken(join, errors[at], 0);
		check_broken(join, errors[at], ENDS_FIRST + 1);
	}
	check_broken(join_by_pipe, EPIPE, 0);
	check_broken(join_by_pipe, EIO, ENDS_FIRST + 1);
}

/* The connection is alive after all. What was to follow is not for one who has missed something. */
TEST(a_stream_that_has_lost_something_ends_there)
{
	struct client client;
	conn_pool_t pool;
	char heard[SIZE];

	init_pool(&pool);
	client = join(&pool);
	say_text(&pool);
	plan((struct act){ .takes = ENDS_FIRST + 1 });
	plan((struct act){ .error = ECONNRESET });
	CHECK_EQ(write_msg(client.sd, &pool), 0);
	CHECK_FAILS(write_msg(client.sd, &pool), ECONNRESET);
	say_text(&pool);
	CHECK_FAILS(write_msg(client.sd, &pool), EPIPE);
	CHECK_EQ(hear(client.peer, heard, sizeof heard), ENDS_FIRST + 1);
	CHECK(is_readable(client.peer));
	CHECK_EQ(read(client.peer, heard, 1), 0);
	/* It may still be heard itself. */
	CHECK_EQ(write(client.peer, "bye", 3), 3);
	check_hears(client.sd, "bye", 3);
	forget_plans();
	leave(client, &pool);
}

/* There each message stands alone, and one that is lost leaves no hole. */
TEST(messages_that_are_no_stream_go_on_after_one_is_lost)
{
	struct client client;
	conn_pool_t pool;
	int ends[2];

	CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
	client = (struct client){ .sd = ends[0], .peer = ends[1] };
	init_pool(&pool);
	CHECK_EQ(add_conn(client.sd, &pool), 0);
	CHECK_EQ(add_msg(NOBODY, "lost", 4, &pool), 0);
	plan((struct act){ .error = ECONNREFUSED });
	CHECK_FAILS(write_msg(client.sd, &pool), ECONNREFUSED);
	CHECK_EQ(add_msg(NOBODY, "heard", 5, &pool), 0);
	CHECK_EQ(write_msg(client.sd, &pool), 0);
	check_hears(client.peer, "heard", 5);
	forget_plans();
	leave(client, &pool);
}

/* A program may write to a socket too early, and listen at it later. */
TEST(a_socket_that_is_not_connected_yet_may_still_listen)
{
	struct client client = { .sd = bind_to_loopback() };
	conn_pool_t pool;
	int accepted;

	init_pool(&pool);
	CHECK_EQ(add_conn(client.sd, &pool), 0);
	CHECK_EQ(add_msg(NOBODY, "hello", 5, &pool), 0);
	CHECK_FAILS(write_msg(client.sd, &pool), EPIPE);
	CHECK_EQ(listen(client.sd, 1), 0);
	client.peer = knock(client.sd);
	accepted = accept(client.sd, NULL, NULL);
	CHECK_EQ(send(accepted, "hello", 5, MSG_NOSIGNAL), 5);
	check_hears(client.peer, "hello", 5);
	close(accepted);
	leave(client, &pool);
}
