/* add_conn: which descriptors it takes, and what it changes. */

#include <sys/resource.h>

#include "room.h"

/* Allows the process descriptors that do not fit into an fd_set. */
static void raise_limit(void)
{
	struct rlimit limit;

	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_cur < FD_SETSIZE + 16) {
		limit.rlim_cur = FD_SETSIZE + 16;
		CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
	}
}

/* A client whose descriptor in the pool is `sd`. */
static struct client connect_as(int sd)
{
	struct client client = connect_client();

	CHECK_EQ(dup2(client.sd, sd), sd);
	close(client.sd);
	client.sd = sd;
	return client;
}

static void hang_up(struct client client)
{
	CHECK_EQ(close(client.sd), 0);
	CHECK_EQ(close(client.peer), 0);
}

/* Checks that add_conn fails with this error and changes nothing. */
static void check_refused(int sd, int error, struct guarded *guarded)
{
	struct snapshot before = take_snapshot(&guarded->pool);

	CHECK_FAILS(add_conn(sd, &guarded->pool), error);
	CHECK(is_unchanged(&before, &guarded->pool));
	check_guards(guarded);
}

TEST(add_conn_refuses_null)
{
	struct client client = connect_client();

	CHECK_FAILS(add_conn(client.sd, NULL), EINVAL);
	CHECK_FAILS(addConn(client.sd, NULL), EINVAL);
	CHECK(is_open(client.sd));
	hang_up(client);
}

TEST(add_conn_refuses_negative_descriptors)
{
	struct guarded guarded;
	struct client client;

	guard(&guarded);
	check_refused(-1, EINVAL, &guarded);
	client = join(&guarded.pool);
	check_refused(-1, EINVAL, &guarded);
	check_refused(-64, EINVAL, &guarded);
	check_refused(INT_MIN, EINVAL, &guarded);
	leave(client, &guarded.pool);
}

TEST(add_conn_takes_the_last_descriptor_that_select_has_room_for)
{
	struct client client;
	struct guarded guarded;

	raise_limit();
	client = connect_as(FD_SETSIZE - 1);
	guard(&guarded);
	CHECK_EQ(add_conn(client.sd, &guarded.pool), 0);
	CHECK_EQ(guarded.pool.maxfd, FD_SETSIZE - 1);
	CHECK(FD_ISSET(client.sd, &guarded.pool.read_set));
	check_guards(&guarded);
	CHECK_EQ(add_msg(0, "all", 3, &guarded.pool), 0);
	CHECK(FD_ISSET(client.sd, &guarded.pool.write_set));
	CHECK_EQ(write_msg(client.sd, &guarded.pool), 0);
	check_receives(client.peer, "all", 3);
	leave(client, &guarded.pool);
	check_guards(&guarded);
	CHECK_EQ(guarded.pool.maxfd, 0);
}

TEST(add_conn_refuses_descriptors_that_select_has_no_room_for)
{
	struct client first, second;
	struct guarded guarded;

	raise_limit();
	first = connect_as(FD_SETSIZE);
	second = connect_as(FD_SETSIZE + 1);
	guard(&guarded);
	check_refused(first.sd, EMFILE, &guarded);
	check_refused(second.sd, EMFILE, &guarded);
	check_refused(FD_SETSIZE + 64 * 8, EMFILE, &guarded);
	check_refused(INT_MAX, EMFILE, &guarded);
	CHECK(is_open(first.sd) && is_open(second.sd));
	hang_up(first);
	hang_up(second);
}

TEST(add_conn_refuses_a_descriptor_that_is_in_the_pool)
{
	struct client clients[3];
	struct guarded guarded;
	int at;

	guard(&guarded);
	join_all(clients, 3, &guarded.pool);
	CHECK_EQ(add_msg(clients[0].sd, "hello", 5, &guarded.pool), 0);
	for (at = 0; at < 3; at++)
		check_refused(clients[at].sd, EEXIST, &guarded);
	FD_CLR(clients[1].sd, &guarded.pool.read_set);
	check_refused(clients[1].sd, EEXIST, &guarded);
	for (at = 0; at < 3; at++)
		CHECK(is_open(clients[at].sd));
	leave_all(clients, 3, &guarded.pool);
}

TEST(add_conn_takes_a_descriptor_again_that_has_been_removed)
{
	struct client client;
	conn_pool_t pool;
	int round;

	init_pool(&pool);
	for (round = 0; round < 3; round++) {
		client = join(&pool);
		CHECK_EQ(pool.nr_conns, 1);
		leave(client, &pool);
	}
}

TEST(add_conn_takes_descriptor_0)
{
	conn_pool_t pool;
	struct client client = connect_as(0);

	init_pool(&pool);
	CHECK_EQ(add_conn(0, &pool), 0);
	CHECK_EQ(pool.maxfd, 0);
	CHECK(FD_ISSET(0, &pool.read_set));
	CHECK_FAILS(add_conn(0, &pool), EEXIST);
	CHECK_EQ(add_msg(1, "hello", 5, &pool), 0);
	CHECK_EQ(write_msg(0, &pool), 0);
	check_receives(client.peer, "hello", 5);
	leave(client, &pool);
}

TEST(add_conn_appends)
{
	enum { COUNT = 20 };
	struct client clients[COUNT];
	conn_pool_t pool;
	conn_t *conn;
	int at;

	init_pool(&pool);
	for (at = 0; at < COUNT; at++) {
		clients[at] = join(&pool);
		CHECK_EQ(pool.nr_conns, at + 1);
		check_sound(&pool);
	}
	for (at = 0, conn = pool.conn_head; conn != NULL; conn = conn->next)
		CHECK_EQ(conn->fd, clients[at++].sd);
	CHECK_EQ(at, COUNT);
	leave_all(clients, COUNT, &pool);
}

TEST(add_conn_appends_after_the_last_has_left)
{
	struct client clients[4];
	conn_pool_t pool;

	open_room(clients, 3, &pool);
	leave(clients[2], &pool);
	clients[2] = join(&pool);
	leave(clients[0], &pool);
	clients[0] = join(&pool);
	check_sound(&pool);
	CHECK_EQ(pool.conn_head->fd, clients[1].sd);
	CHECK_EQ(pool.conn_head->next->fd, clients[2].sd);
	CHECK_EQ(pool.conn_head->next->next->fd, clients[0].sd);
	leave_all(clients, 3, &pool);
}

TEST(add_conn_makes_a_connection_with_an_empty_queue)
{
	struct client client;
	conn_pool_t pool;

	open_room(&client, 1, &pool);
	CHECK_EQ(pool.conn_head->fd, client.sd);
	CHECK(pool.conn_head->prev == NULL);
	CHECK(pool.conn_head->next == NULL);
	CHECK(pool.conn_head->write_msg_head == NULL);
	CHECK(pool.conn_head->write_msg_tail == NULL);
	leave(client, &pool);
}

static void check_changes_no_other_field(unsigned char bits)
{
	struct client client = connect_client();
	conn_pool_t pool, expected;

	init_pool(&pool);
	fill_caller_fields(&pool, bits);
	memset(&pool.write_set, bits, sizeof pool.write_set);
	FD_SET(900, &pool.read_set);
	memcpy(&expected, &pool, sizeof pool);
	CHECK_EQ(add_conn(client.sd, &pool), 0);
	FD_SET(client.sd, &expected.read_set);
	expected.maxfd = client.sd;
	expected.conn_head = pool.conn_head;
	expected.nr_conns = 1;
	CHECK_EQ(memcmp(&pool, &expected, sizeof pool), 0);
	leave(client, &pool);
}

TEST(add_conn_changes_no_other_field)
{
	check_changes_no_other_field(0x00);
	check_changes_no_other_field(0xFF);
}

TEST(add_conn_only_ever_raises_maxfd)
{
	struct client low = connect_client(), high = connect_client();
	conn_pool_t pool;

	CHECK(high.sd > low.sd);
	init_pool(&pool);
	CHECK_EQ(add_conn(high.sd, &pool), 0);
	CHECK_EQ(pool.maxfd, high.sd);
	CHECK_EQ(add_conn(low.sd, &pool), 0);
	CHECK_EQ(pool.maxfd, high.sd);
	CHECK_EQ(remove_conn(low.sd, &pool), 0);
	pool.maxfd = 500;
	low.sd = dup(high.sd);
	CHECK_EQ(add_conn(low.sd, &pool), 0);
	CHECK_EQ(pool.maxfd, 500);
	leave(low, &pool);
	leave(high, &pool);
}

TEST(add_conn_leaves_the_descriptors_flags_alone)
{
	static const int status_flags[] = { 0, O_NONBLOCK }, fd_flags[] = { 0, FD_CLOEXEC };
	conn_pool_t pool;
	int at;

	init_pool(&pool);
	for (at = 0; at < 4; at++) {
		struct client client = connect_client();
		int status, flags;

		fcntl(client.sd, F_SETFL, status_flags[at / 2]);
		fcntl(client.sd, F_SETFD, fd_flags[at % 2]);
		status = fcntl(client.sd, F_GETFL);
		flags = fcntl(client.sd, F_GETFD);
		CHECK_EQ(add_conn(client.sd, &pool), 0);
		CHECK_EQ(fcntl(client.sd, F_GETFL), status);
		CHECK_EQ(fcntl(client.sd, F_GETFD), flags);
		leave(client, &pool);
	}
}

TEST(add_conn_takes_listeners_pipes_and_closed_descriptors)
{
	int listener = listen_on_loopback(), ends[2], closed;
	conn_pool_t pool;

	CHECK_EQ(pipe(ends), 0);
	closed = dup(ends[0]);
	close(closed);
	init_pool(&pool);
	CHECK_EQ(add_conn(listener, &pool), 0);
	CHECK_EQ(add_conn(ends[1], &pool), 0);
	CHECK_EQ(add_conn(closed, &pool), 0);
	CHECK_EQ(pool.nr_conns, 3);
	CHECK(FD_ISSET(listener, &pool.read_set));
	CHECK(FD_ISSET(ends[1], &pool.read_set));
	CHECK(FD_ISSET(closed, &pool.read_set));
	check_sound(&pool);
	CHECK_EQ(remove_conn(listener, &pool), 0);
	CHECK_EQ(remove_conn(closed, &pool), 0);
	CHECK_EQ(remove_conn(ends[1], &pool), 0);
	close(ends[0]);
}

TEST(a_connection_keeps_its_address)
{
	enum { COUNT = 200 };
	struct client clients[COUNT];
	conn_t *conns[COUNT];
	conn_pool_t pool;
	int at;

	init_pool(&pool);
	for (at = 0; at < COUNT; at++) {
		clients[at] = join(&pool);
		conns[at] = conn_of(clients[at].sd, &pool);
	}
	for (at = 0; at < COUNT; at += 2)
		leave(clients[at], &pool);
	CHECK_EQ(add_msg(0, "hello", 5, &pool), 0);
	for (at = 1; at < COUNT; at += 2) {
		CHECK_EQ(write_msg(clients[at].sd, &pool), 0);
		CHECK(conn_of(clients[at].sd, &pool) == conns[at]);
		leave(clients[at], &pool);
	}
}
