/* chat_receive and chat_next_line: the lines of a client, one by one. */

#include <malloc.h>
#include <sys/mman.h>

#include "chatServerExt.h"
#include "room.h"

/* The most that a line may have; see the header. */
enum { PIECE = 64 * 1024 };

static void receive(int sd, const char *bytes, size_t size, conn_pool_t *pool)
{
	struct snapshot before = take_snapshot(pool);

	CHECK_EQ(chat_receive(sd, bytes, (int)size, pool), 0);
	CHECK(is_unchanged(&before, pool));
}

/* The same with a string; NULL is the end of the file. */
static void receive_text(int sd, const char *text, conn_pool_t *pool)
{
	receive(sd, text, text != NULL ? strlen(text) : 0, pool);
}

static void check_next(int sd, const void *bytes, size_t size, conn_pool_t *pool)
{
	struct snapshot before = take_snapshot(pool);
	const char *line;

	CHECK_EQ(chat_next_line(sd, &line, pool), size);
	CHECK(memcmp(line, bytes, size) == 0);
	CHECK(is_unchanged(&before, pool));
}

static void check_no_more(int sd, conn_pool_t *pool)
{
	const char unused = '\0', *line = &unused;

	errno = 0;
	CHECK_EQ(chat_next_line(sd, &line, pool), 0);
	CHECK_EQ(chat_next_line(sd, &line, pool), 0);
	CHECK(line == &unused && errno == 0);
}

/* Checks that these are the lines, up to NULL, and no others. */
static void check_lines(int sd, const char *const lines[], conn_pool_t *pool)
{
	for (; *lines != NULL; lines++)
		check_next(sd, *lines, strlen(*lines), pool);
	check_no_more(sd, pool);
}

#define CHECK_LINES(sd, pool, ...) check_lines(sd, (const char *const[]){ __VA_ARGS__, NULL }, pool)

TEST_WITH_CLIENT(lines_come_one_by_one_and_a_tail_waits_until_its_line_ends)
{
	check_no_more(client.sd, pool);
	receive_text(client.sd, "one\ntwo\r\n\nth", pool);
	CHECK_LINES(client.sd, pool, "one\n", "two\r\n", "\n");
	receive_text(client.sd, "re", pool);
	check_no_more(client.sd, pool);
	receive_text(client.sd, "e\nfour", pool);
	CHECK_LINES(client.sd, pool, "three\n");
	receive_text(client.sd, "\n", pool);
	CHECK_LINES(client.sd, pool, "four\n");
}

/* A long line, since the allocator keeps short blocks at hand. */
TEST_WITH_CLIENT(what_has_been_fetched_takes_no_memory)
{
	size_t before = mallinfo2().uordblks;
	char text[8000];

	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\n';
	receive(client.sd, text, sizeof text, pool);
	check_next(client.sd, text, sizeof text, pool);
	check_no_more(client.sd, pool);
	CHECK_EQ(mallinfo2().uordblks, before);
}

TEST_WITH_CLIENT(the_end_of_the_file_makes_a_line_of_the_tail)
{
	receive_text(client.sd, NULL, pool);
	check_no_more(client.sd, pool);
	receive_text(client.sd, "first\nlast", pool);
	receive_text(client.sd, NULL, pool);
	CHECK_LINES(client.sd, pool, "first\n", "last");
	receive_text(client.sd, NULL, pool);
	check_no_more(client.sd, pool);
	receive_text(client.sd, "afresh\n", pool);
	CHECK_LINES(client.sd, pool, "afresh\n");
}

TEST_WITH_CLIENT(lines_that_are_not_fetched_at_once_stay)
{
	receive_text(client.sd, "one\ntwo\nth", pool);
	check_next(client.sd, "one\n", 4, pool);
	receive_text(client.sd, "ree\nfo", pool);
	check_next(client.sd, "two\n", 4, pool);
	receive_text(client.sd, "ur\n", pool);
	CHECK_LINES(client.sd, pool, "three\n", "four\n");
}

TEST_WITH_CLIENT(a_line_may_have_any_bytes)
{
	char text[258];
	int at;

	for (at = 0; at < 256; at++)
		text[at] = (char)at;
	text[256] = text[257] = '\n';
	receive(client.sd, text, 100, pool);
	receive(client.sd, text + 100, 158, pool);
	check_next(client.sd, text, 11, pool);
	check_next(client.sd, text + 11, 246, pool);
	check_next(client.sd, "\n", 1, pool);
	receive(client.sd, "\0\0", 2, pool);
	receive(client.sd, "\0\n", 2, pool);
	check_next(client.sd, "\0\0\0\n", 4, pool);
	check_no_more(client.sd, pool);
}

TEST_WITH_CLIENTS(the_lines_of_two_clients_never_mix, 2)
{
	receive_text(clients[0].sd, "from the ", pool);
	receive_text(clients[1].sd, "SECOND", pool);
	receive_text(clients[0].sd, "first\n", pool);
	receive_text(clients[1].sd, " ONE\n", pool);
	CHECK_LINES(clients[0].sd, pool, "from the first\n");
	CHECK_LINES(clients[1].sd, pool, "SECOND ONE\n");
}

/* Passes a line of `size` bytes, newline included, in reads of `step`. Wherever they are cut, it
 * comes in the same pieces. */
static void check_long_line(size_t size, size_t step)
{
	char *text = malloc(size);
	struct client client;
	conn_pool_t pool;
	size_t at, count, piece, fetched = 0;

	fill(text, size, 0);
	for (at = 0; at < size; at++)
		text[at] = text[at] == '\n' ? ' ' : text[at];
	text[size - 1] = '\n';
	open_room(&client, 1, &pool);
	for (at = 0; at < size; at += count) {
		count = size - at < step ? size - at : step;
		receive(client.sd, text + at, count, &pool);
		while (fetched < at + count) {
			piece = size - fetched < PIECE ? size - fetched : PIECE;
			if (fetched + piece > at + count)
				break;
			check_next(client.sd, text + fetched, piece, &pool);
			fetched += piece;
		}
		check_no_more(client.sd, &pool);
	}
	CHECK_EQ(fetched, size);
	free(text);
	leave(client, &pool);
}

TEST(a_line_of_64_kib_and_more_comes_in_pieces)
{
	static const size_t steps[] = { 4096, 5000, 65535, 65536, 65537, 200000, 1000000 };
	static const size_t sizes[] = { 1, 65535, 65536, 65537, 131072, 131073, 1000000 };
	size_t step, size;

	for (step = 0; step < sizeof steps / sizeof steps[0]; step++)
		for (size = 0; size < sizeof sizes / sizeof sizes[0]; size++)
			check_long_line(sizes[size], steps[step]);
}

TEST_WITH_CLIENT(lines_that_are_not_fetched_make_no_line_longer)
{
	static char text[PIECE - 1];

	memset(text, 'x', sizeof text);
	receive_text(client.sd, "one\n", pool);
	receive(client.sd, text, sizeof text, pool);
	CHECK_LINES(client.sd, pool, "one\n");
	receive_text(client.sd, "\n", pool);
	CHECK_EQ(chat_next_line(client.sd, &(const char *){ NULL }, pool), PIECE);
	check_no_more(client.sd, pool);
}

TEST_WITH_POOL(the_connection_may_be_removed_while_its_lines_are_fetched)
{
	struct client client = join(pool), next;
	const char *line;

	receive_text(client.sd, "/quit\nmore\nand more", pool);
	check_next(client.sd, "/quit\n", 6, pool);
	leave(client, pool);
	CHECK_FAILS(chat_next_line(client.sd, &line, pool), ENOENT);
	next = join(pool);
	CHECK_EQ(next.sd, client.sd);
	check_no_more(next.sd, pool);
	leave(next, pool);
}

TEST_WITH_POOL(a_line_stays_during_calls_for_other_connections)
{
	struct client clients[3];
	const char *line;

	join_all(clients, 3, pool);
	receive_text(clients[0].sd, "he", pool);
	receive_text(clients[0].sd, "llo\nagain\n", pool);
	CHECK_EQ(chat_next_line(clients[0].sd, &line, pool), 6);
	receive_text(clients[1].sd, "one\ntwo\n", pool);
	check_next(clients[1].sd, "one\n", 4, pool);
	CHECK_EQ(chat_say(clients[0].sd, line, 6, pool), 0);
	CHECK_EQ(chat_cork(pool), 0);
	CHECK_EQ(chat_say(-1, line, 6, pool), 0);
	CHECK_EQ(chat_tell(clients[0].sd, line, 6, pool), 0);
	CHECK_EQ(chat_feed(clients[2].sd, line, 6, pool), 0);
	CHECK_EQ(chat_uncork(pool), 0);
	CHECK_EQ(write_msg(clients[0].sd, pool), 0);
	leave(clients[2], pool);
	CHECK_EQ(write_msg(clients[1].sd, pool), 0);
	CHECK(memcmp(line, "hello\n", 6) == 0);
	check_receives(clients[0].peer, "hello\nhello\nhello\n", 18);
	check_receives(clients[1].peer, "hello\nhello\nhello\n", 18);
	CHECK_LINES(clients[0].sd, pool, "again\n");
	CHECK_LINES(clients[1].sd, pool, "two\n");
	leave_all(clients, 2, pool);
}

TEST_WITH_CLIENTS(chat_feed_has_the_same_tail, 2)
{
	receive_text(clients[0].sd, "hel", pool);
	CHECK_EQ(chat_feed(clients[0].sd, "lo\nwor", 6, pool), 0);
	check_no_more(clients[0].sd, pool);
	receive_text(clients[0].sd, "ld\n", pool);
	CHECK_LINES(clients[0].sd, pool, "world\n");
	CHECK_EQ(write_msg(clients[1].sd, pool), 0);
	check_receives(clients[1].peer, "hello\n", 6);
}

TEST_WITH_CLIENTS(chat_feed_passes_on_the_lines_that_are_not_fetched, 2)
{
	receive_text(clients[0].sd, "one\ntwo\nth", pool);
	check_next(clients[0].sd, "one\n", 4, pool);
	CHECK_EQ(chat_feed(clients[0].sd, "re", 2, pool), 0);
	CHECK_EQ(queued(clients[1].sd, pool), 0);
	CHECK_EQ(chat_feed(clients[0].sd, "e\nfour", 6, pool), 0);
	check_no_more(clients[0].sd, pool);
	receive_text(clients[0].sd, " and more", pool);
	check_no_more(clients[0].sd, pool);
	receive_text(clients[0].sd, "!\nfi", pool);
	CHECK_EQ(chat_feed(clients[0].sd, NULL, 0, pool), 0);
	check_no_more(clients[0].sd, pool);
	CHECK_EQ(write_msg(clients[1].sd, pool), 0);
	check_receives(clients[1].peer, "two\nthree\nfour and more!\nfi", 27);
}

TEST_WITH_CLIENTS(chat_feed_passes_on_no_line_that_is_fetched, 2)
{
	receive_text(clients[0].sd, "one\ntwo\n", pool);
	check_next(clients[0].sd, "one\n", 4, pool);
	CHECK_EQ(chat_feed(clients[0].sd, "three\n", 6, pool), 0);
	receive_text(clients[0].sd, "four\nfive", pool);
	check_next(clients[0].sd, "four\n", 5, pool);
	CHECK_EQ(chat_feed(clients[0].sd, NULL, 0, pool), 0);
	CHECK_EQ(write_msg(clients[1].sd, pool), 0);
	check_receives(clients[1].peer, "two\nthree\nfive", 14);
}

/* valgrind reports what is not freed. */
TEST_WITH_CLIENT(lines_and_tail_go_with_their_connection)
{
	receive_text(client.sd, "fetched\nnot fetched\nnever ended", pool);
	check_next(client.sd, "fetched\n", 8, pool);
}

TEST_WITH_CLIENT(exactly_len_bytes_are_looked_at_and_none_is_changed)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	char *pages = mmap(NULL, size * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
	                   0);

	CHECK(pages != MAP_FAILED);
	memcpy(pages + size - 6, "one\ntw", 6);
	CHECK_EQ(mprotect(pages, size, PROT_READ), 0);
	CHECK_EQ(mprotect(pages + size, size, PROT_NONE), 0);
	receive(client.sd, pages + size - 6, 6, pool);
	receive(client.sd, pages + size - 6, 2, pool);
	receive(client.sd, pages + size, 0, pool);
	CHECK_LINES(client.sd, pool, "one\n", "twon");
	munmap(pages, size * 2);
}

static void check_refused(int sd, const char *buffer, int len, int error, conn_pool_t *pool)
{
	struct snapshot before = take_snapshot(pool);

	CHECK_FAILS(chat_receive(sd, buffer, len, pool), error);
	CHECK(is_unchanged(&before, pool));
}

TEST_WITH_CLIENT(errors_change_nothing)
{
	struct client stranger = connect_client();
	const char *line = NULL;

	receive_text(client.sd, "line\nkept", pool);
	CHECK_FAILS(chat_receive(client.sd, "x", 1, NULL), EINVAL);
	check_refused(client.sd, "x\n", -1, EINVAL, pool);
	check_refused(client.sd, "x\n", INT_MIN, EINVAL, pool);
	check_refused(client.sd, NULL, 2, EINVAL, pool);
	check_refused(stranger.sd, "x\n", 2, ENOENT, pool);
	check_refused(-1, NULL, 0, ENOENT, pool);
	check_refused(FD_SETSIZE, "x\n", 2, ENOENT, pool);
	CHECK_FAILS(chat_next_line(client.sd, &line, NULL), EINVAL);
	CHECK_FAILS(chat_next_line(client.sd, NULL, pool), EINVAL);
	CHECK_FAILS(chat_next_line(stranger.sd, &line, pool), ENOENT);
	CHECK_FAILS(chat_next_line(-1, &line, pool), ENOENT);
	CHECK(line == NULL);
	receive_text(client.sd, "\n", pool);
	CHECK_LINES(client.sd, pool, "line\n", "kept\n");
	close(stranger.sd);
	close(stranger.peer);
}
