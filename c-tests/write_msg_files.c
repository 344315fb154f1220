/* write_msg on descriptors that are not sockets: pipes, terminals, files. */

#define _GNU_SOURCE /* F_SETPIPE_SZ, cfmakeraw, posix_openpt */

#include <termios.h>

#include "room.h"

/* A pipe of the smallest size, whose writing end is in the pool. */
static struct client join_by_pipe(conn_pool_t *pool)
{
	int ends[2];

	CHECK_EQ(pipe(ends), 0);
	CHECK(fcntl(ends[1], F_SETPIPE_SZ, 4096) != -1);
	CHECK_EQ(add_conn(ends[1], pool), 0);
	return (struct client){ .sd = ends[1], .peer = ends[0] };
}

/* A raw pseudo-terminal: the pool has the slave, and the peer is the master. */
static struct client join_by_terminal(conn_pool_t *pool)
{
	struct termios settings;
	struct client client;

	client.peer = posix_openpt(O_RDWR | O_NOCTTY);
	CHECK(client.peer != -1);
	CHECK_EQ(grantpt(client.peer) | unlockpt(client.peer), 0);
	client.sd = open(ptsname(client.peer), O_RDWR | O_NOCTTY);
	CHECK(client.sd != -1);
	CHECK_EQ(tcgetattr(client.sd, &settings), 0);
	cfmakeraw(&settings);
	CHECK_EQ(tcsetattr(client.sd, TCSANOW, &settings), 0);
	CHECK_EQ(add_conn(client.sd, pool), 0);
	return client;
}

/* Queues the stream of `size` bytes in messages of a prime length. */
static void queue_in_pieces(size_t size, conn_pool_t *pool)
{
	size_t at;

	for (at = 0; at < size; at += 997)
		queue_pattern(at, size - at < 997 ? size - at : 997, pool);
}

/* A pipe in a new pool, which nobody reads any more. */
static struct client open_broken_pipe(conn_pool_t *pool)
{
	struct client client;

	init_pool(pool);
	client = join_by_pipe(pool);
	close(client.peer);
	return client;
}

/* Checks that writing to a pipe without a reader fails and changes neither signal mask nor
 * flags. */
static void check_gone(struct client client, conn_pool_t *pool)
{
	long blocked = blocked_signals();
	int flags = fcntl(client.sd, F_GETFL);

	CHECK_EQ(add_msg(OUTSIDER, "hello", 5, pool), 0);
	CHECK_EQ(add_msg(OUTSIDER, "again", 5, pool), 0);
	CHECK_FAILS(write_msg(client.sd, pool), EPIPE);
	CHECK_EQ(blocked_signals(), blocked);
	CHECK_EQ(fcntl(client.sd, F_GETFL), flags);
	CHECK_EQ(queued(client.sd, pool), 0);
	CHECK(conn_of(client.sd, pool)->write_msg_tail == NULL);
	CHECK(!FD_ISSET(client.sd, &pool->write_set));
	CHECK(is_open(client.sd));
	CHECK_EQ(write_msg(client.sd, pool), 0);
}

TEST(a_pipe_gets_the_whole_stream)
{
	struct client client;
	conn_pool_t pool;

	init_pool(&pool);
	client = join_by_pipe(&pool);
	queue_in_pieces(100000, &pool);
	CHECK(check_stream(client, 100000, &pool) > 1);
	leave(client, &pool);
}

TEST(a_nonblocking_pipe_stays_nonblocking)
{
	struct client client;
	conn_pool_t pool;

	init_pool(&pool);
	client = join_by_pipe(&pool);
	CHECK_EQ(fcntl(client.sd, F_SETFL, O_NONBLOCK), 0);
	queue_in_pieces(20000, &pool);
	CHECK(check_stream(client, 20000, &pool) > 1);
	leave(client, &pool);
}

TEST(a_full_blocking_pipe_is_not_waited_for)
{
	struct client client;
	conn_pool_t pool;

	init_pool(&pool);
	client = join_by_pipe(&pool);
	check_full(client, &pool);
	leave(client, &pool);
}

TEST(a_pipe_without_a_reader_is_an_error_and_no_signal)
{
	struct client client;
	conn_pool_t pool;

	set_sigpipe_to_default();
	client = open_broken_pipe(&pool);
	check_gone(client, &pool);
	CHECK(!is_sigpipe_pending());
	CHECK_EQ(remove_conn(client.sd, &pool), 0);
}

static volatile sig_atomic_t handled;

static void on_sigpipe(int signal)
{
	(void)signal;
	handled++;
}

TEST(a_programs_own_sigpipe_handler_is_not_called)
{
	struct client client;
	conn_pool_t pool;

	CHECK(signal(SIGPIPE, on_sigpipe) != SIG_ERR);
	client = open_broken_pipe(&pool);
	check_gone(client, &pool);
	CHECK_EQ(handled, 0);
	raise(SIGPIPE);
	CHECK_EQ(handled, 1);
	CHECK_EQ(remove_conn(client.sd, &pool), 0);
}

TEST(an_ignored_sigpipe_stays_ignored)
{
	struct client client;
	conn_pool_t pool;

	CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	client = open_broken_pipe(&pool);
	check_gone(client, &pool);
	CHECK(!is_sigpipe_pending());
	CHECK(signal(SIGPIPE, SIG_DFL) == SIG_IGN);
	CHECK_EQ(remove_conn(client.sd, &pool), 0);
}

TEST(a_blocked_sigpipe_is_pending_afterwards_only_if_it_was_before)
{
	struct client client;
	conn_pool_t pool;

	set_sigpipe_to_default();
	block_sigpipe();
	client = open_broken_pipe(&pool);
	check_gone(client, &pool);
	CHECK(!is_sigpipe_pending());
	raise(SIGPIPE);
	check_gone(client, &pool);
	CHECK(is_sigpipe_pending());
	CHECK_EQ(remove_conn(client.sd, &pool), 0);
}

TEST(a_terminal_gets_the_whole_stream)
{
	struct client client;
	conn_pool_t pool;

	init_pool(&pool);
	client = join_by_terminal(&pool);
	queue_in_pieces(50000, &pool);
	CHECK(check_stream(client, 50000, &pool) > 1);
	leave(client, &pool);
}

TEST(a_file_gets_the_whole_stream)
{
	FILE *file = tmpfile();
	char received[10000];
	conn_pool_t pool;
	int sd = dup(fileno(file));

	init_pool(&pool);
	CHECK_EQ(add_conn(sd, &pool), 0);
	queue_in_pieces(sizeof received, &pool);
	CHECK_EQ(write_msg(sd, &pool), 0);
	CHECK(pool.conn_head->write_msg_head == NULL);
	CHECK_EQ(pread(fileno(file), received, sizeof received, 0), sizeof received);
	check_pattern(received, sizeof received, 0);
	CHECK_EQ(remove_conn(sd, &pool), 0);
	fclose(file);
}

TEST(a_descriptor_that_cannot_be_written_is_an_error)
{
	conn_pool_t pool;
	int ends[2];

	CHECK_EQ(pipe(ends), 0);
	init_pool(&pool);
	CHECK_EQ(add_conn(ends[0], &pool), 0);
	CHECK_EQ(add_msg(OUTSIDER, "hello", 5, &pool), 0);
	CHECK_FAILS(write_msg(ends[0], &pool), EBADF);
	CHECK_EQ(queued(ends[0], &pool), 0);
	CHECK(!FD_ISSET(ends[0], &pool.write_set));
	CHECK_EQ(remove_conn(ends[0], &pool), 0);
	close(ends[1]);
}
