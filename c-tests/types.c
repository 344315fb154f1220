/* The types of the header exactly, as already compiled programs rely on them. */

#include <stddef.h>

/* Included first, as a program may do. */
#include "chatServer.h"

#include "check.h"

/* Whether an expression has exactly this type. */
#define IS(expression, type) _Generic((expression), type : 1, default : 0)

#define CHECK_FIELD(type, field, field_type, offset)             \
	do {                                                     \
		CHECK(IS(&((type *)NULL)->field, field_type *)); \
		CHECK_EQ(offsetof(type, field), offset);         \
	} while (0)

TEST(conn_pool_is_as_the_contract_has_it)
{
	CHECK(IS((struct conn_pool *)NULL, conn_pool_t *));
	CHECK_FIELD(conn_pool_t, maxfd, int, 0);
	CHECK_FIELD(conn_pool_t, nready, int, 4);
	CHECK_FIELD(conn_pool_t, read_set, fd_set, 8);
	CHECK_FIELD(conn_pool_t, ready_read_set, fd_set, 8 + 128);
	CHECK_FIELD(conn_pool_t, write_set, fd_set, 8 + 2 * 128);
	CHECK_FIELD(conn_pool_t, ready_write_set, fd_set, 8 + 3 * 128);
	CHECK_FIELD(conn_pool_t, conn_head, struct conn *, 520);
	CHECK_FIELD(conn_pool_t, nr_conns, unsigned int, 528);
	CHECK_EQ(sizeof(conn_pool_t), 536);
}

TEST(msg_is_as_the_contract_has_it)
{
	CHECK(IS((struct msg *)NULL, msg_t *));
	CHECK_FIELD(msg_t, prev, struct msg *, 0);
	CHECK_FIELD(msg_t, next, struct msg *, 8);
	CHECK_FIELD(msg_t, message, char *, 16);
	CHECK_FIELD(msg_t, size, int, 24);
	CHECK_EQ(sizeof(msg_t), 32);
}

TEST(conn_is_as_the_contract_has_it)
{
	CHECK(IS((struct conn *)NULL, conn_t *));
	CHECK_FIELD(conn_t, prev, struct conn *, 0);
	CHECK_FIELD(conn_t, next, struct conn *, 8);
	CHECK_FIELD(conn_t, fd, int, 16);
	CHECK_FIELD(conn_t, write_msg_head, struct msg *, 24);
	CHECK_FIELD(conn_t, write_msg_tail, struct msg *, 32);
	CHECK_EQ(sizeof(conn_t), 40);
}

TEST(functions_are_as_the_contract_has_them)
{
	typedef int on_pool(conn_pool_t *);
	typedef int on_conn(int, conn_pool_t *);
	typedef int on_msg(int, char *, int, conn_pool_t *);

	CHECK(IS(&init_pool, on_pool *) && IS(&initPool, on_pool *));
	CHECK(IS(&add_conn, on_conn *) && IS(&addConn, on_conn *));
	CHECK(IS(&remove_conn, on_conn *) && IS(&removeConn, on_conn *));
	CHECK(IS(&add_msg, on_msg *) && IS(&addMsg, on_msg *));
	CHECK(IS(&write_msg, on_conn *) && IS(&write_to_client, on_conn *));
	CHECK(IS(&writeToClient, on_conn *));
}

TEST(buffer_size_is_an_int_of_4096)
{
	CHECK(IS(BUFFER_SIZE, int));
	CHECK_EQ(BUFFER_SIZE, 4096);
}
