/* remove_conn: what it removes, what it prints, and what it leaves alone. */

#include "room.h"

enum { COUNT = 5 };

/* Whether the client reads end of file. */
static bool is_hung_up(struct client client)
{
	char byte;

	return is_readable(client.peer) && read(client.peer, &byte, 1) == 0;
}

static void check_refused(int sd, int error, conn_pool_t *pool)
{
	struct snapshot before = take_snapshot(pool);
	struct capture out = capture(stdout);

	CHECK_FAILS(remove_conn(sd, pool), error);
	check_printed(out, "");
	CHECK(is_unchanged(&before, pool));
}

TEST(remove_conn_refuses_null)
{
	struct client client = connect_client();
	struct capture out = capture(stdout);

	CHECK_FAILS(remove_conn(client.sd, NULL), EINVAL);
	CHECK_FAILS(removeConn(client.sd, NULL), EINVAL);
	check_printed(out, "");
	CHECK(is_open(client.sd));
	close(client.sd);
	close(client.peer);
}

TEST_WITH_POOL(remove_conn_refuses_descriptors_not_in_the_pool)
{
	struct client clients[2], stranger = connect_client();

	check_refused(stranger.sd, ENOENT, pool);
	join_all(clients, 2, pool);
	/* The program has put it into read_set, as many do with their listener. */
	FD_SET(stranger.sd, &pool->read_set);
	CHECK_EQ(add_msg(clients[0].sd, "hello", 5, pool), 0);
	check_refused(stranger.sd, ENOENT, pool);
	check_refused(-1, ENOENT, pool);
	check_refused(INT_MIN, ENOENT, pool);
	check_refused(FD_SETSIZE, ENOENT, pool);
	check_refused(INT_MAX, ENOENT, pool);
	CHECK(is_open(stranger.sd));
	close(stranger.sd);
	close(stranger.peer);
	leave_all(clients, 2, pool);
	check_refused(clients[0].sd, ENOENT, pool);
}

TEST_WITH_POOL(remove_conn_prints_in_its_place_among_the_programs_own_output)
{
	char expected[512];
	struct client clients[3];
	struct capture out;

	join_all(clients, 3, pool);
	out = capture(stdout);
	printf("before\n");
	remove_conn(clients[1].sd, pool);
	printf("between, ");
	removeConn(clients[0].sd, pool);
	remove_conn(clients[2].sd, pool);
	printf("after\n");
	snprintf(expected, sizeof expected,
	         "before\n"
	         "removing connection with sd %d \n"
	         "between, "
	         "removing connection with sd %d \n"
	         "removing connection with sd %d \n"
	         "after\n",
	         clients[1].sd, clients[0].sd, clients[2].sd);
	check_printed(out, expected);
	close(clients[0].peer);
	close(clients[1].peer);
	close(clients[2].peer);
}

TEST_WITH_POOL(remove_conn_is_silent_for_a_listener)
{
	int listener = listen_on_loopback(), late = bind_to_loopback();
	struct capture out;

	CHECK_EQ(add_conn(listener, pool), 0);
	CHECK_EQ(add_conn(late, pool), 0);
	CHECK_EQ(listen(late, 1), 0);
	out = capture(stdout);
	CHECK_EQ(remove_conn(late, pool), 0);
	CHECK_EQ(remove_conn(listener, pool), 0);
	check_printed(out, "");
	CHECK(!is_open(listener) && !is_open(late));
}

TEST_WITH_POOL(remove_conn_closes_the_descriptor)
{
	struct client client = join(pool);

	CHECK_EQ(remove_conn(client.sd, pool), 0);
	CHECK(!is_open(client.sd));
	CHECK(is_hung_up(client));
	close(client.peer);
}

TEST_WITH_POOL(remove_conn_ignores_that_the_program_has_closed_the_descriptor)
{
	struct client client = join(pool);
	char expected[64];
	struct capture out;

	snprintf(expected, sizeof expected, "removing connection with sd %d \n", client.sd);
	out = capture(stdout);
	close(client.sd);
	CHECK_EQ(remove_conn(client.sd, pool), 0);
	check_printed(out, expected);
	CHECK(pool->conn_head == NULL);
	close(client.peer);
}

TEST_WITH_POOL(remove_conn_leaves_an_empty_pool)
{
	static const conn_pool_t zeros;
	struct client clients[COUNT];

	join_all(clients, COUNT, pool);
	CHECK_EQ(add_msg(0, "hello", 5, pool), 0);
	leave_all(clients, COUNT, pool);
	CHECK_EQ(memcmp(pool, &zeros, sizeof zeros), 0);
}

TEST_WITH_POOL(remove_conn_takes_the_descriptor_and_no_other_out_of_all_sets)
{
	struct client clients[COUNT];
	fd_set expected;

	join_all(clients, COUNT, pool);
	memset(&expected, 0xFF, sizeof expected);
	pool->read_set = pool->ready_read_set = expected;
	pool->write_set = pool->ready_write_set = expected;
	FD_CLR(clients[2].sd, &expected);
	CHECK_EQ(remove_conn(clients[2].sd, pool), 0);
	CHECK_EQ(memcmp(&pool->read_set, &expected, sizeof expected), 0);
	CHECK_EQ(memcmp(&pool->ready_read_set, &expected, sizeof expected), 0);
	CHECK_EQ(memcmp(&pool->write_set, &expected, sizeof expected), 0);
	CHECK_EQ(memcmp(&pool->ready_write_set, &expected, sizeof expected), 0);
	close(clients[2].peer);
	clients[2] = clients[COUNT - 1];
	leave_all(clients, COUNT - 1, pool);
}

TEST_WITH_POOL(remove_conn_leaves_nready_alone)
{
	struct client clients[2];

	join_all(clients, 2, pool);
	pool->nready = 7;
	leave_all(clients, 2, pool);
	CHECK_EQ(pool->nready, 7);
}

TEST_WITH_POOL(maxfd_falls_to_the_highest_in_the_list)
{
	struct client clients[COUNT];
	int at;

	join_all(clients, COUNT, pool);
	/* A program that fills read_set in every pass may have emptied it. */
	FD_ZERO(&pool->read_set);
	for (at = COUNT - 1; at > 0; at--) {
		leave(clients[at], pool);
		CHECK_EQ(pool->maxfd, clients[at - 1].sd);
	}
	leave(clients[0], pool);
	CHECK_EQ(pool->maxfd, 0);
}

TEST_WITH_POOL(maxfd_falls_to_a_listener_that_is_in_read_set_only)
{
	struct client low, high;
	int listener;

	low = join(pool);
	listener = listen_on_loopback();
	FD_SET(listener, &pool->read_set);
	pool->maxfd = listener;
	high = join(pool);
	CHECK(low.sd < listener && listener < high.sd);
	leave(high, pool);
	CHECK_EQ(pool->maxfd, listener);
	leave(low, pool);
	CHECK_EQ(pool->maxfd, listener);
	CHECK(FD_ISSET(listener, &pool->read_set));
	CHECK(is_open(listener));
	close(listener);
}

TEST(maxfd_finds_every_descriptor_in_read_set)
{
	conn_pool_t pool;
	int only;

	for (only = 0; only < FD_SETSIZE - 1; only++) {
		init_pool(&pool);
		FD_SET(only, &pool.read_set);
		CHECK_EQ(add_conn(FD_SETSIZE - 1, &pool), 0);
		CHECK_EQ(remove_conn(FD_SETSIZE - 1, &pool), 0);
		CHECK_EQ(pool.maxfd, only);
	}
}

TEST_WITH_POOL(maxfd_stays_when_a_lower_descriptor_leaves)
{
	struct client clients[3];

	join_all(clients, 3, pool);
	leave(clients[0], pool);
	CHECK_EQ(pool->maxfd, clients[2].sd);
	pool->maxfd = 500;
	leave(clients[2], pool);
	CHECK_EQ(pool->maxfd, 500);
	/* The program has set maxfd too low. */
	pool->maxfd = 0;
	clients[0] = join(pool);
	pool->maxfd = 0;
	leave(clients[0], pool);
	CHECK_EQ(pool->maxfd, clients[1].sd);
	leave(clients[1], pool);
}

TEST_WITH_POOL(remove_conn_frees_a_queue_of_any_length)
{
	struct client clients[2];
	int length, at;

	clients[0] = join(pool);
	for (length = 0; length < 200; length = length * 2 + 1) {
		clients[1] = join(pool);
		for (at = 0; at < length; at++)
			CHECK_EQ(add_msg(clients[0].sd, "hello", 5, pool), 0);
		CHECK_EQ(queued(clients[1].sd, pool), length);
		leave(clients[1], pool);
	}
	leave(clients[0], pool);
}

/* A newcomer may get the descriptor number of a client that left in the same pass. */
TEST_WITH_POOL(a_descriptor_number_used_again_starts_afresh)
{
	struct client old, new, other;

	other = join(pool);
	old = join(pool);
	CHECK_EQ(add_msg(other.sd, "for the old one", 15, pool), 0);
	pool->ready_read_set = pool->read_set;
	pool->ready_write_set = pool->write_set;
	leave(old, pool);
	new = join(pool);
	CHECK_EQ(new.sd, old.sd);
	CHECK(FD_ISSET(new.sd, &pool->read_set));
	CHECK(!FD_ISSET(new.sd, &pool->ready_read_set));
	CHECK(!FD_ISSET(new.sd, &pool->write_set));
	CHECK(!FD_ISSET(new.sd, &pool->ready_write_set));
	CHECK_EQ(queued(new.sd, pool), 0);
	CHECK_EQ(add_msg(other.sd, "for the new one", 15, pool), 0);
	CHECK_EQ(write_msg(new.sd, pool), 0);
	check_receives(new.peer, "for the new one", 15);
	leave(new, pool);
	leave(other, pool);
}

/* The program has set maxfd below a descriptor that is in the list only. */
TEST_WITH_POOL(maxfd_falls_to_a_listed_descriptor_above_the_one_that_leaves)
{
	struct client clients[3];

	join_all(clients, 3, pool);
	FD_CLR(clients[2].sd, &pool->read_set);
	pool->maxfd = clients[1].sd;
	leave(clients[1], pool);
	CHECK_EQ(pool->maxfd, clients[2].sd);
	leave(clients[2], pool);
	CHECK_EQ(pool->maxfd, clients[0].sd);
	leave(clients[0], pool);
	CHECK_EQ(pool->maxfd, 0);
}

/* And the program has a descriptor of its own in read_set. */
TEST_WITH_POOL(maxfd_falls_to_a_listed_descriptor_above_that_of_the_program)
{
	struct client clients[2];

	join_all(clients, 2, pool);
	CHECK(clients[0].sd < clients[0].peer && clients[0].peer < clients[1].sd);
	FD_CLR(clients[1].sd, &pool->read_set);
	FD_SET(clients[0].peer, &pool->read_set);
	pool->maxfd = clients[0].sd;
	leave(clients[0], pool);
	CHECK_EQ(pool->maxfd, clients[1].sd);
	leave(clients[1], pool);
}
