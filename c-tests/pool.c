/* init_pool: the empty pool. */

#include "chatServer.h"
#include "check.h"

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
