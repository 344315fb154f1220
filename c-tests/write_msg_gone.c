/* write_msg to a peer that is gone: an error and no signal, and the queue is dropped. */

#include "room.h"

/* Checks that the write fails since the peer is gone, and the state after that. */
static void check_gone(struct client client, int error, conn_pool_t *pool)
{
	unsigned int others = pool->nr_conns - 1;
	conn_t *conn = conn_of(client.sd, pool);
	fd_set readers = pool->read_set;

	CHECK(conn->write_msg_head != NULL);
	CHECK_FAILS(write_msg(client.sd, pool), error);
	CHECK(conn_of(client.sd, pool) == conn);
	CHECK(conn->write_msg_head == NULL);
	CHECK(conn->write_msg_tail == NULL);
	CHECK(!FD_ISSET(client.sd, &pool->write_set));
	CHECK(memcmp(&readers, &pool->read_set, sizeof readers) == 0);
	CHECK_EQ(pool->nr_conns, others + 1);
	CHECK(is_open(client.sd));
	check_sound(pool);
	/* With nothing queued, writing succeeds again. */
	CHECK_EQ(write_msg(client.sd, pool), 0);
	CHECK_EQ(add_msg(client.sd, "x", 1, pool), 0);
	CHECK_EQ(remove_conn(client.sd, pool), 0);
	CHECK_EQ(pool->nr_conns, others);
}

TEST(a_peer_that_has_closed_is_an_error_and_no_signal)
{
	struct client client, other;
	conn_pool_t pool;

	set_sigpipe_to_default();
	open_room(&client, 1, &pool);
	other = join(&pool);
	CHECK_EQ(add_msg(other.sd, "hello", 5, &pool), 0);
	CHECK_EQ(add_msg(other.sd, "again", 5, &pool), 0);
	close(client.peer);
	check_gone(client, EPIPE, &pool);
	CHECK_EQ(queued(other.sd, &pool), 1);
	leave(other, &pool);
}

TEST(a_peer_that_goes_in_the_middle_of_a_message_is_an_error)
{
	static char bytes[100000];
	struct client client;
	conn_pool_t pool;

	set_sigpipe_to_default();
	open_room(&client, 1, &pool);
	shrink_send_buffer(client.sd);
	CHECK_EQ(add_msg(OUTSIDER, bytes, sizeof bytes, &pool), 0);
	CHECK_EQ(add_msg(OUTSIDER, bytes, 100, &pool), 0);
	CHECK_EQ(write_msg(client.sd, &pool), 0);
	CHECK(pool.conn_head->write_msg_head->size < (int)sizeof bytes);
	close(client.peer);
	check_gone(client, EPIPE, &pool);
}

TEST(a_peer_that_resets_its_connection_is_an_error)
{
	const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
	struct client client = connect_over_tcp();
	conn_pool_t pool;

	set_sigpipe_to_default();
	init_pool(&pool);
	CHECK_EQ(add_conn(client.sd, &pool), 0);
	CHECK_EQ(add_msg(OUTSIDER, "hello", 5, &pool), 0);
	setsockopt(client.peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	close(client.peer);
	CHECK_EQ(poll(&(struct pollfd){ .fd = client.sd, .events = POLLIN }, 1, -1), 1);
	check_gone(client, ECONNRESET, &pool);
}

TEST(a_socket_shut_for_writing_is_an_error)
{
	struct client client;
	conn_pool_t pool;

	set_sigpipe_to_default();
	open_room(&client, 1, &pool);
	CHECK_EQ(add_msg(OUTSIDER, "hello", 5, &pool), 0);
	CHECK_EQ(shutdown(client.sd, SHUT_WR), 0);
	check_gone(client, EPIPE, &pool);
	close(client.peer);
}

TEST(a_descriptor_that_the_program_has_closed_is_an_error)
{
	struct client client;
	conn_pool_t pool;

	open_room(&client, 1, &pool);
	CHECK_EQ(add_msg(OUTSIDER, "hello", 5, &pool), 0);
	close(client.sd);
	CHECK_FAILS(write_msg(client.sd, &pool), EBADF);
	CHECK(pool.conn_head->write_msg_head == NULL);
	CHECK(!FD_ISSET(client.sd, &pool.write_set));
	leave(client, &pool);
}

TEST(a_sigpipe_that_was_pending_stays_pending)
{
	struct client client;
	conn_pool_t pool;
	long blocked;

	set_sigpipe_to_default();
	block_sigpipe();
	blocked = blocked_signals();
	open_room(&client, 1, &pool);
	close(client.peer);
	CHECK_EQ(add_msg(OUTSIDER, "hello", 5, &pool), 0);
	CHECK_FAILS(write_msg(client.sd, &pool), EPIPE);
	CHECK(!is_sigpipe_pending());
	raise(SIGPIPE);
	CHECK_EQ(add_msg(OUTSIDER, "hello", 5, &pool), 0);
	CHECK_FAILS(write_msg(client.sd, &pool), EPIPE);
	CHECK(is_sigpipe_pending());
	CHECK_EQ(blocked_signals(), blocked);
	CHECK_EQ(remove_conn(client.sd, &pool), 0);
}
