/* init_pool: the empty pool. */

#include "room.h"

TEST(init_pool_refuses_null)
{
	CHECK_FAILS(init_pool(NULL), EINVAL);
	CHECK_FAILS(initPool(NULL), EINVAL);
}

TEST(init_pool_zeroes_memory_that_was_never_set)
{
	conn_pool_t *pool = malloc(sizeof *pool);
	static const conn_pool_t zeros;

	memset(pool, 0xAA, sizeof *pool);
	CHECK_EQ(init_pool(pool), 0);
	CHECK_EQ(memcmp(pool, &zeros, sizeof zeros), 0);
	free(pool);
}

/* valgrind reports a read of uninitialised memory. */
TEST(init_pool_does_not_read_the_memory)
{
	conn_pool_t *pool = malloc(sizeof *pool);
	static const conn_pool_t zeros;

	CHECK_EQ(init_pool(pool), 0);
	CHECK_EQ(memcmp(pool, &zeros, sizeof zeros), 0);
	free(pool);
}

TEST(init_pool_writes_nothing_beside_the_pool)
{
	struct guarded guarded;

	guard(&guarded);
	check_guards(&guarded);
}

TEST(init_pool_leaves_what_a_used_pool_held_to_the_program)
{
	static const conn_pool_t zeros;
	conn_pool_t pool;
	struct client clients[2];
	char text[] = "hello";
	conn_t *conn;
	msg_t *msg;

	open_room(clients, 2, &pool);
	CHECK_EQ(add_msg(clients[1].sd, text, 5, &pool), 0);
	conn = pool.conn_head;
	msg = conn->write_msg_head;

	CHECK_EQ(init_pool(&pool), 0);
	CHECK_EQ(memcmp(&pool, &zeros, sizeof zeros), 0);
	CHECK(memcmp(msg->message, text, 5) == 0);
	CHECK(is_open(clients[0].sd) && is_open(clients[1].sd));
	free(msg->message);
	free(msg);
	free(conn->next);
	free(conn);
	close(clients[0].sd);
	close(clients[0].peer);
	close(clients[1].sd);
	close(clients[1].peer);
}

static void chat_in(conn_pool_t *pool)
{
	struct client clients[2];

	open_room(clients, 2, pool);
	check_in_touch(clients, 2, pool);
	leave_all(clients, 2, pool);
}

TEST(a_pool_may_be_static_on_the_stack_or_from_malloc)
{
	static conn_pool_t in_the_program;
	conn_pool_t on_the_stack, *from_malloc = malloc(sizeof *from_malloc);

	chat_in(&in_the_program);
	chat_in(&on_the_stack);
	chat_in(from_malloc);
	free(from_malloc);
}
