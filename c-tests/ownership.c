/* What programs may do to a pool without a call: free messages and whole lists, rewrite the
 * sets, and use descriptors and memory again. */

#include "room.h"

enum { COUNT = 5 };

static void free_all_conns(conn_pool_t *pool)
{
	conn_t *conn, *following;

	for (conn = pool->conn_head; conn != NULL; conn = following) {
		following = conn->next;
		free_conn(conn);
	}
}

static void close_all(struct client clients[], int count)
{
	int at;

	for (at = 0; at < count; at++) {
		close(clients[at].sd);
		close(clients[at].peer);
	}
}

TEST(a_program_may_take_messages_out_and_free_them)
{
	struct client client;
	conn_pool_t pool;
	msg_t *msg;

	open_room(&client, 1, &pool);
	CHECK_EQ(add_msg(OUTSIDER, "one", 3, &pool), 0);
	CHECK_EQ(add_msg(OUTSIDER, "two", 3, &pool), 0);
	CHECK_EQ(add_msg(OUTSIDER, "three", 5, &pool), 0);
	msg = pop(pool.conn_head);
	CHECK(memcmp(msg->message, "one", 3) == 0);
	free_msg(msg);
	CHECK_EQ(write_msg(client.sd, &pool), 0);
	check_receives(client.peer, "twothree", 8);
	CHECK_EQ(add_msg(OUTSIDER, "four", 4, &pool), 0);
	free_msg(pop(pool.conn_head));
	CHECK_EQ(write_msg(client.sd, &pool), 0);
	CHECK_EQ(add_msg(OUTSIDER, "five", 4, &pool), 0);
	check_sound(&pool);
	CHECK_EQ(write_msg(client.sd, &pool), 0);
	check_receives(client.peer, "five", 4);
	leave(client, &pool);
}

/* The program frees the queue itself and leaves the tail stale. */
TEST(a_program_may_empty_a_queue_and_leave_a_stale_tail)
{
	struct client client;
	conn_pool_t pool;
	conn_t *conn;
	int round;

	open_room(&client, 1, &pool);
	conn = pool.conn_head;
	for (round = 0; round < 3; round++) {
		CHECK_EQ(add_msg(OUTSIDER, "one", 3, &pool), 0);
		CHECK_EQ(add_msg(OUTSIDER, "two", 3, &pool), 0);
		free_msg(conn->write_msg_head);
		free_msg(conn->write_msg_tail);
		conn->write_msg_head = NULL;
		if (round == 1)
			CHECK_EQ(write_msg(client.sd, &pool), 0);
		check_in_touch(&client, 1, &pool);
	}
	CHECK_EQ(add_msg(OUTSIDER, "one", 3, &pool), 0);
	free_msg(conn->write_msg_head);
	conn->write_msg_head = NULL;
	leave(client, &pool);
}

TEST(a_program_may_send_the_start_of_a_message_by_itself)
{
	struct client client;
	conn_pool_t pool;
	msg_t *msg;

	open_room(&client, 1, &pool);
	CHECK_EQ(add_msg(OUTSIDER, "hello", 5, &pool), 0);
	msg = pool.conn_head->write_msg_head;
	CHECK_EQ(send(client.sd, msg->message, 2, 0), 2);
	memmove(msg->message, msg->message + 2, 3);
	msg->size = 3;
	CHECK_EQ(write_msg(client.sd, &pool), 0);
	check_receives(client.peer, "hello", 5);
	leave(client, &pool);
}

/* After a partial write the message is still a block that free() takes. */
TEST(a_program_may_free_a_message_that_was_sent_in_part)
{
	char *bytes = calloc(1, 100000);
	struct client client;
	conn_pool_t pool;

	open_room(&client, 1, &pool);
	shrink_send_buffer(client.sd);
	CHECK_EQ(add_msg(OUTSIDER, bytes, 100000, &pool), 0);
	CHECK_EQ(write_msg(client.sd, &pool), 0);
	CHECK(pool.conn_head->write_msg_head->size < 100000);
	free_msg(pop(pool.conn_head));
	read_available(client.peer, bytes, 100000);
	check_in_touch(&client, 1, &pool);
	free(bytes);
	leave(client, &pool);
}

TEST(a_program_may_free_every_node_and_then_the_pool)
{
	conn_pool_t *pool = malloc(sizeof *pool);
	struct client clients[COUNT];

	open_room(clients, COUNT, pool);
	CHECK_EQ(add_msg(clients[0].sd, "hello", 5, pool), 0);
	CHECK_EQ(add_msg(clients[1].sd, "hello", 5, pool), 0);
	CHECK_EQ(write_msg(clients[2].sd, pool), 0);
	free_all_conns(pool);
	free(pool);
	close_all(clients, COUNT);
}

/* Ways to reuse the memory after the program has freed all nodes. */
static void start_with_init_pool(conn_pool_t *pool)
{
	CHECK_EQ(init_pool(pool), 0);
}

static void start_by_hand(conn_pool_t *pool)
{
	pool->conn_head = NULL;
	pool->nr_conns = 0;
}

TEST(a_pool_starts_anew_with_the_same_descriptors)
{
	static void (*const ways[])(conn_pool_t *) = { start_with_init_pool, start_by_hand };
	struct client clients[COUNT];
	conn_pool_t pool;
	int round, at;

	open_room(clients, COUNT, &pool);
	for (round = 0; round < 4; round++) {
		check_in_touch(clients, COUNT, &pool);
		CHECK_EQ(add_msg(OUTSIDER, "old", 3, &pool), 0);
		free_all_conns(&pool);
		ways[round % 2](&pool);
		for (at = 0; at < COUNT; at++)
			CHECK_EQ(add_conn(clients[at].sd, &pool), 0);
		check_sound(&pool);
	}
	leave_all(clients, COUNT, &pool);
}

TEST(a_pool_that_starts_anew_does_not_know_the_old_descriptors)
{
	struct client clients[COUNT], new;
	conn_pool_t pool;
	int at;

	open_room(clients, COUNT, &pool);
	check_in_touch(clients, COUNT, &pool);
	free_all_conns(&pool);
	init_pool(&pool);
	for (at = 0; at < COUNT; at++) {
		FD_SET(clients[at].sd, &pool.read_set);
		CHECK_FAILS(write_msg(clients[at].sd, &pool), ENOENT);
		CHECK_FAILS(remove_conn(clients[at].sd, &pool), ENOENT);
	}
	new = join(&pool);
	for (at = 0; at < COUNT; at++) {
		CHECK_FAILS(write_msg(clients[at].sd, &pool), ENOENT);
		CHECK_FAILS(remove_conn(clients[at].sd, &pool), ENOENT);
	}
	check_in_touch(&new, 1, &pool);
	leave(new, &pool);
	close_all(clients, COUNT);
}

/* A new pool at the address of an old one must not find the old one's members. */
TEST(a_pool_in_the_memory_of_a_freed_one_is_a_new_pool)
{
	struct client clients[COUNT];
	conn_pool_t *pool;
	int round, at;

	for (at = 0; at < COUNT; at++)
		clients[at] = connect_client();
	for (round = 0; round < 5; round++) {
		pool = malloc(sizeof *pool);
		init_pool(pool);
		for (at = round; at < COUNT; at++)
			CHECK_EQ(add_conn(clients[at].sd, pool), 0);
		for (at = 0; at < round; at++)
			CHECK_FAILS(write_msg(clients[at].sd, pool), ENOENT);
		check_in_touch(clients + round, COUNT - round, pool);
		free_all_conns(pool);
		free(pool);
	}
	close_all(clients, COUNT);
}

TEST(a_program_may_wipe_and_rebuild_the_sets)
{
	struct client clients[COUNT], new;
	fd_set *sets[4];
	conn_pool_t pool;
	conn_t *conn;
	int at;

	sets[0] = &pool.read_set;
	sets[1] = &pool.ready_read_set;
	sets[2] = &pool.write_set;
	sets[3] = &pool.ready_write_set;
	open_room(clients, COUNT, &pool);
	for (at = 0; at < 4; at++)
		FD_ZERO(sets[at]);
	check_in_touch(clients, COUNT, &pool);
	CHECK_FAILS(add_conn(clients[0].sd, &pool), EEXIST);
	new = join(&pool);
	check_in_touch(&new, 1, &pool);
	leave(new, &pool);
	for (at = 0; at < 4; at++)
		memset(sets[at], 0xFF, sizeof *sets[at]);
	CHECK_FAILS(write_msg(new.sd, &pool), ENOENT);
	for (at = 0; at < COUNT; at++)
		CHECK_EQ(write_msg(clients[at].sd, &pool), 0);
	FD_ZERO(&pool.read_set);
	for (conn = pool.conn_head; conn != NULL; conn = conn->next)
		FD_SET(conn->fd, &pool.read_set);
	check_sound(&pool);
	leave_all(clients, COUNT, &pool);
}

/* A client in two pools, which leaves one and then the other. */
static void check_two_pools(conn_pool_t *left_first, conn_pool_t *left_last)
{
	struct client client = connect_client();
	conn_t *conn;

	CHECK_EQ(add_conn(client.sd, left_first), 0);
	CHECK_EQ(add_conn(client.sd, left_last), 0);
	CHECK_FAILS(add_conn(client.sd, left_first), EEXIST);
	CHECK_FAILS(add_conn(client.sd, left_last), EEXIST);
	conn = left_last->conn_head;
	CHECK(conn != left_first->conn_head);
	CHECK_EQ(add_msg(OUTSIDER, "first", 5, left_first), 0);
	CHECK_EQ(queued(client.sd, left_last), 0);
	CHECK_EQ(add_msg(OUTSIDER, "last", 4, left_last), 0);
	CHECK_EQ(write_msg(client.sd, left_first), 0);
	check_receives(client.peer, "first", 5);
	CHECK_EQ(write_msg(client.sd, left_last), 0);
	check_receives(client.peer, "last", 4);
	CHECK_EQ(remove_conn(client.sd, left_first), 0);
	CHECK_FAILS(write_msg(client.sd, left_first), ENOENT);
	CHECK_FAILS(add_conn(client.sd, left_last), EEXIST);
	CHECK(left_last->conn_head == conn);
	CHECK_EQ(remove_conn(client.sd, left_last), 0);
	check_sound(left_first);
	check_sound(left_last);
	close(client.peer);
}

TEST(a_descriptor_may_be_in_two_pools)
{
	conn_pool_t first, second;

	init_pool(&first);
	init_pool(&second);
	check_two_pools(&first, &second);
	check_two_pools(&second, &first);
}

/* The index entry of the descriptor was another pool's, which has removed it. */
TEST(a_pool_knows_its_own_when_another_has_come_and_gone)
{
	conn_pool_t first, second;
	struct client client;

	init_pool(&first);
	init_pool(&second);
	client = join(&first);
	CHECK_EQ(add_conn(client.sd, &second), 0);
	CHECK_EQ(remove_conn(client.sd, &second), 0);
	CHECK_FAILS(add_conn(client.sd, &first), EEXIST);
	check_sound(&first);
	CHECK_EQ(remove_conn(client.sd, &first), 0);
	close(client.peer);
}

/* A program frees one pool's node: the other pool must find its own node and not the freed one. */
TEST(a_program_may_free_the_nodes_of_one_of_two_pools)
{
	conn_pool_t first, second;
	struct client client;
	int round;

	for (round = 0; round < 2; round++) {
		conn_pool_t *freed = round == 0 ? &first : &second;
		conn_pool_t *used = round == 0 ? &second : &first;

		client = connect_client();
		init_pool(&first);
		init_pool(&second);
		CHECK_EQ(add_conn(client.sd, &first), 0);
		CHECK_EQ(add_conn(client.sd, &second), 0);
		free_all_conns(freed);
		init_pool(freed);
		check_in_touch(&client, 1, used);
		CHECK_FAILS(write_msg(client.sd, freed), ENOENT);
		CHECK_EQ(add_conn(client.sd, freed), 0);
		check_in_touch(&client, 1, used);
		check_in_touch(&client, 1, freed);
		CHECK_EQ(remove_conn(client.sd, freed), 0);
		CHECK_EQ(remove_conn(client.sd, used), 0);
		close(client.peer);
	}
}

/* A pool may be copied elsewhere and its old memory overwritten. */
TEST(a_pool_may_be_moved)
{
	struct client clients[COUNT], other;
	conn_pool_t old, new;
	int at;

	init_pool(&old);
	join_all(clients, COUNT - 1, &old);
	new = old;
	init_pool(&old);
	other = join(&old);
	for (at = 0; at < COUNT - 1; at++)
		CHECK_FAILS(add_conn(clients[at].sd, &new), EEXIST);
	clients[COUNT - 1] = join(&new);
	check_in_touch(clients, COUNT, &new);
	check_sound(&new);
	leave_all(clients, COUNT, &new);
	check_in_touch(&other, 1, &old);
	leave(other, &old);
}
