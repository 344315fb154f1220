/* write_msg, under its three names, on sockets: what is sent, and what is kept for a slow
 * reader. */

#include <time.h>

#include "room.h"

typedef int hand_out(int sd, conn_pool_t *pool);

static hand_out *const write_names[] = { write_msg, write_to_client, writeToClient };
enum { NAMES = sizeof write_names / sizeof write_names[0] };

static void check_refused(int sd, int error, conn_pool_t *pool)
{
	struct snapshot before = take_snapshot(pool);
	int at;

	for (at = 0; at < NAMES; at++) {
		CHECK_FAILS(write_names[at](sd, pool), error);
		CHECK(is_unchanged(&before, pool));
	}
}

TEST(write_msg_refuses_null_and_who_is_not_in_the_pool)
{
	struct client clients[2], stranger = connect_client();
	conn_pool_t pool;
	int at;

	init_pool(&pool);
	for (at = 0; at < NAMES; at++)
		CHECK_FAILS(write_names[at](stranger.sd, NULL), EINVAL);
	check_refused(stranger.sd, ENOENT, &pool);
	join_all(clients, 2, &pool);
	FD_SET(stranger.sd, &pool.read_set);
	FD_SET(stranger.sd, &pool.write_set);
	CHECK_EQ(add_msg(OUTSIDER, "hello", 5, &pool), 0);
	check_refused(stranger.sd, ENOENT, &pool);
	check_refused(-1, ENOENT, &pool);
	check_refused(INT_MIN, ENOENT, &pool);
	check_refused(FD_SETSIZE, ENOENT, &pool);
	check_refused(INT_MAX, ENOENT, &pool);
	CHECK(!is_readable(stranger.peer));
	close(stranger.sd);
	close(stranger.peer);
	leave_all(clients, 2, &pool);
	check_refused(clients[0].sd, ENOENT, &pool);
}

TEST(write_msg_with_nothing_queued_clears_the_bit_and_the_stale_tail)
{
	struct client client;
	conn_pool_t pool;
	int at;

	open_room(&client, 1, &pool);
	for (at = 0; at < NAMES; at++) {
		msg_t gone;

		pool.conn_head->write_msg_tail = &gone;
		FD_SET(client.sd, &pool.write_set);
		CHECK_EQ(write_names[at](client.sd, &pool), 0);
		CHECK(pool.conn_head->write_msg_head == NULL);
		CHECK(pool.conn_head->write_msg_tail == NULL);
		CHECK(!FD_ISSET(client.sd, &pool.write_set));
		CHECK(!is_readable(client.peer));
	}
	leave(client, &pool);
}

TEST(write_msg_sends_everything_to_the_one_and_nothing_to_others)
{
	struct client clients[3];
	conn_pool_t pool;
	int at;

	open_room(clients, 3, &pool);
	for (at = 0; at < NAMES; at++) {
		CHECK_EQ(add_msg(clients[0].sd, "hello, ", 7, &pool), 0);
		CHECK_EQ(add_msg(clients[0].sd, "world\0\n", 7, &pool), 0);
		CHECK_EQ(write_names[at](clients[1].sd, &pool), 0);
		check_receives(clients[1].peer, "hello, world\0\n", 14);
		CHECK_EQ(queued(clients[1].sd, &pool), 0);
		CHECK(conn_of(clients[1].sd, &pool)->write_msg_tail == NULL);
		CHECK(!FD_ISSET(clients[1].sd, &pool.write_set));
		CHECK(!is_readable(clients[2].peer));
		CHECK(FD_ISSET(clients[2].sd, &pool.write_set));
		CHECK_EQ(queued(clients[2].sd, &pool), 2 * (at + 1));
		check_sound(&pool);
	}
	leave_all(clients, 3, &pool);
}

static void check_changes_no_other_field(unsigned char bits)
{
	struct client clients[2];
	conn_pool_t pool, expected;

	open_room(clients, 2, &pool);
	CHECK_EQ(add_msg(clients[0].sd, "hello", 5, &pool), 0);
	fill_caller_fields(&pool, bits);
	pool.maxfd = 700;
	FD_SET(clients[0].sd, &pool.write_set);
	FD_SET(900, &pool.write_set);
	memcpy(&expected, &pool, sizeof pool);
	CHECK_EQ(write_msg(clients[1].sd, &pool), 0);
	FD_CLR(clients[1].sd, &expected.write_set);
	CHECK_EQ(memcmp(&pool, &expected, sizeof pool), 0);
	leave_all(clients, 2, &pool);
}

TEST(write_msg_changes_write_set_and_no_other_field)
{
	check_changes_no_other_field(0x00);
	check_changes_no_other_field(0xFF);
}

TEST(write_msg_sends_when_the_program_has_cleared_the_sets)
{
	struct client client;
	conn_pool_t pool;

	open_room(&client, 1, &pool);
	CHECK_EQ(add_msg(OUTSIDER, "hello", 5, &pool), 0);
	FD_ZERO(&pool.read_set);
	FD_ZERO(&pool.write_set);
	CHECK_EQ(write_msg(client.sd, &pool), 0);
	check_receives(client.peer, "hello", 5);
	leave(client, &pool);
}

/* More messages than one system call takes; one write_msg sends them all. */
TEST(write_msg_sends_a_queue_of_any_length)
{
	static const int lengths[] = { 1, 63, 64, 65, 127, 128, 129, 200, 1500 };
	struct client client;
	conn_pool_t pool;
	size_t at;
	int number;

	open_room(&client, 1, &pool);
	for (at = 0; at < sizeof lengths / sizeof lengths[0]; at++) {
		size_t size = (size_t)lengths[at] * 3;
		char *bytes = malloc(size);

		fill(bytes, size, 0);
		for (number = 0; number < lengths[at]; number++)
			CHECK_EQ(add_msg(OUTSIDER, bytes + number * 3, 3, &pool), 0);
		CHECK_EQ(write_msg(client.sd, &pool), 0);
		CHECK(pool.conn_head->write_msg_head == NULL);
		check_receives(client.peer, bytes, size);
		free(bytes);
	}
	leave(client, &pool);
}

/* Messages of many sizes, so that the kernel stops anywhere in them. */
static size_t queue_many(conn_pool_t *pool)
{
	size_t size = 0, number;

	for (number = 0; number < 300; number++) {
		size_t length = 1 + number * number * 37 % 4099;

		queue_pattern(size, length, pool);
		size += length;
	}
	return size;
}

TEST(the_stream_is_whole_when_the_kernel_takes_little_at_a_time)
{
	struct client client;
	conn_pool_t pool;
	size_t size;

	open_room(&client, 1, &pool);
	shrink_send_buffer(client.sd);
	size = queue_many(&pool);
	check_stream(client, size, &pool);
	leave(client, &pool);
}

TEST(the_stream_is_whole_over_tcp)
{
	struct client client = connect_over_tcp();
	conn_pool_t pool;
	size_t size;

	init_pool(&pool);
	shrink_send_buffer(client.sd);
	CHECK_EQ(add_conn(client.sd, &pool), 0);
	size = queue_many(&pool);
	check_stream(client, size, &pool);
	leave(client, &pool);
}

TEST(write_msg_to_a_full_blocking_socket_keeps_everything)
{
	struct client client;
	conn_pool_t pool;

	open_room(&client, 1, &pool);
	shrink_send_buffer(client.sd);
	check_full(client, &pool);
	leave(client, &pool);
}

TEST(what_is_queued_behind_a_full_kernel_comes_after_the_rest)
{
	struct client client;
	conn_pool_t pool;
	size_t size = 50000;
	int round;

	open_room(&client, 1, &pool);
	shrink_send_buffer(client.sd);
	queue_pattern(0, size, &pool);
	for (round = 0; round < 20; round++) {
		CHECK_EQ(write_msg(client.sd, &pool), 0);
		queue_pattern(size, 100, &pool);
		size += 100;
		check_sound(&pool);
	}
	check_stream(client, size, &pool);
	leave(client, &pool);
}

TEST(a_nonblocking_socket_stays_nonblocking)
{
	struct client client;
	conn_pool_t pool;
	int flags;

	open_room(&client, 1, &pool);
	shrink_send_buffer(client.sd);
	fcntl(client.sd, F_SETFL, O_NONBLOCK);
	flags = fcntl(client.sd, F_GETFL);
	queue_pattern(0, 30000, &pool);
	check_stream(client, 30000, &pool);
	CHECK_EQ(fcntl(client.sd, F_GETFL), flags);
	leave(client, &pool);
}

static volatile sig_atomic_t ticks;

static void on_tick(int signal)
{
	(void)signal;
	ticks++;
}

/* Not SIGALRM, which ends a test that hangs. */
static timer_t start_ticking(void)
{
	const struct itimerspec each_ms = { .it_interval.tv_nsec = 1000000,
		                            .it_value.tv_nsec = 1000000 };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	/* Without SA_RESTART, so that a waiting call fails with EINTR. */
	struct sigaction action = { .sa_handler = on_tick };
	timer_t timer;

	CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
	CHECK_EQ(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	CHECK_EQ(timer_settime(timer, 0, &each_ms, NULL), 0);
	return timer;
}

TEST(the_stream_is_whole_under_a_thousand_signals_a_second)
{
	enum { SIZE = 20000 };
	char *received = malloc(SIZE + 1);
	struct client client;
	conn_pool_t pool;
	timer_t timer;

	open_room(&client, 1, &pool);
	shrink_send_buffer(client.sd);
	timer = start_ticking();
	while (ticks < 100) {
		size_t count = 0;
		ssize_t got;

		queue_pattern(0, SIZE / 2, &pool);
		queue_pattern(SIZE / 2, SIZE / 2, &pool);
		while (count < SIZE) {
			CHECK_EQ(write_msg(client.sd, &pool), 0);
			got = recv(client.peer, received + count, SIZE + 1 - count, MSG_DONTWAIT);
			CHECK(got > 0 || (got == -1 && (errno == EINTR || errno == EAGAIN)));
			count += got > 0 ? (size_t)got : 0;
		}
		check_pattern(received, SIZE, 0);
		CHECK(pool.conn_head->write_msg_head == NULL);
	}
	CHECK_EQ(timer_delete(timer), 0);
	CHECK(!is_readable(client.peer));
	free(received);
	leave(client, &pool);
}
