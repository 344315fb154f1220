/* chat_feed: puts together whole lines from reads of any size. */

#include <sys/mman.h>

#include "chatServerExt.h"
#include "room.h"

/* The most that is kept of an unfinished line; see the header. */
enum { PIECE = 64 * 1024 };

/* The first client sends, and the second shows what was passed on. */
enum { SENDER, RECIPIENT, BOTH };

static void feed(struct client clients[], const char *bytes, size_t size, conn_pool_t *pool)
{
	CHECK_EQ(chat_feed(clients[SENDER].sd, bytes, (int)size, pool), 0);
	check_sound(pool);
	CHECK_EQ(queued(clients[SENDER].sd, pool), 0);
}

/* How many bytes are queued for the recipient. */
static size_t passed_on(struct client clients[], conn_pool_t *pool)
{
	const msg_t *msg = conn_of(clients[RECIPIENT].sd, pool)->write_msg_head;
	size_t size = 0;

	for (; msg != NULL; msg = msg->next)
		size += (size_t)msg->size;
	return size;
}

/* Checks that the recipient has received these bytes and nothing else. */
static void check_told(struct client clients[], const char *bytes, size_t size, conn_pool_t *pool)
{
	char *received = malloc(size + 1);
	size_t count = 0;

	while (queued(clients[RECIPIENT].sd, pool) > 0) {
		CHECK_EQ(write_msg(clients[RECIPIENT].sd, pool), 0);
		count += read_available(clients[RECIPIENT].peer, received + count,
		                        size + 1 - count);
		CHECK(count <= size);
	}
	CHECK_EQ(count, size);
	CHECK(size == 0 || memcmp(received, bytes, size) == 0);
	free(received);
}

/* What is fed, NULL being the end of the file, and what is passed on then. */
struct exchange {
	const char *fed, *received;
};

static void check_exchanges(const struct exchange *exchange, int count)
{
	struct client clients[BOTH];
	conn_pool_t pool;

	open_room(clients, BOTH, &pool);
	for (; count-- > 0; exchange++) {
		const size_t size = strlen(exchange->received);

		feed(clients, exchange->fed, exchange->fed != NULL ? strlen(exchange->fed) : 0,
		     &pool);
		CHECK_EQ(passed_on(clients, &pool), size);
		CHECK_EQ(FD_ISSET(clients[RECIPIENT].sd, &pool.write_set) != 0, size > 0);
		CHECK(!FD_ISSET(clients[SENDER].sd, &pool.write_set));
		check_told(clients, exchange->received, size, &pool);
	}
	leave_all(clients, BOTH, &pool);
}

#define CHECK_EXCHANGES(...)                                      \
	check_exchanges((const struct exchange[]){ __VA_ARGS__ }, \
	                sizeof(struct exchange[]){ __VA_ARGS__ } / sizeof(struct exchange))

TEST(a_whole_line_is_passed_on_and_a_tail_is_kept_until_its_line_ends)
{
	CHECK_EXCHANGES({ "hello\n", "hello\n" }, { "hello, ", "" }, { "world", "" },
	                { "\nand", "hello, world\n" }, { " more\n", "and more\n" });
}

TEST(cr_and_lf_may_come_apart)
{
	CHECK_EXCHANGES({ "hello\r", "" }, { "\n", "hello\r\n" }, { "a\rb\r", "" },
	                { "\n\r\n", "a\rb\r\n\r\n" });
}

TEST(empty_lines_are_lines)
{
	CHECK_EXCHANGES({ "\n", "\n" }, { "\n\n\na", "\n\n\n" }, { "\n\n", "a\n\n" });
}

TEST(the_end_of_the_file_delivers_the_tail_once)
{
	CHECK_EXCHANGES({ "first\nlast", "first\n" }, { NULL, "last" }, { NULL, "" },
	                { "more\n", "more\n" });
}

TEST_WITH_CLIENTS(all_whole_lines_of_a_call_make_one_message, BOTH)
{
	feed(clients, "one\ntwo\nthree\nfo", 16, pool);
	CHECK_EQ(queued(clients[RECIPIENT].sd, pool), 1);
	CHECK_EQ(passed_on(clients, pool), 14);
	feed(clients, "ur\nfive\n", 8, pool);
	CHECK_EQ(queued(clients[RECIPIENT].sd, pool), 2);
	check_told(clients, "one\ntwo\nthree\nfour\nfive\n", 24, pool);
}

TEST_WITH_CLIENTS(lines_may_come_byte_by_byte, BOTH)
{
	static const char text[] = "byte\r\nby\n\nbyte\n";
	size_t at, whole = 0;

	for (at = 0; at < sizeof text - 1; at++) {
		feed(clients, text + at, 1, pool);
		if (text[at] == '\n')
			whole = at + 1;
		CHECK_EQ(passed_on(clients, pool), whole);
	}
	CHECK_EQ(queued(clients[RECIPIENT].sd, pool), 4);
	check_told(clients, text, sizeof text - 1, pool);
}

TEST_WITH_CLIENTS(two_clients_never_mix, 3)
{
	CHECK_EQ(chat_feed(clients[0].sd, "from the ", 9, pool), 0);
	CHECK_EQ(chat_feed(clients[1].sd, "SECOND", 6, pool), 0);
	CHECK_EQ(chat_feed(clients[0].sd, "first\n", 6, pool), 0);
	CHECK_EQ(chat_feed(clients[1].sd, " ONE\n", 5, pool), 0);
	CHECK_EQ(write_msg(clients[0].sd, pool), 0);
	CHECK_EQ(write_msg(clients[1].sd, pool), 0);
	CHECK_EQ(write_msg(clients[2].sd, pool), 0);
	check_receives(clients[0].peer, "SECOND ONE\n", 11);
	check_receives(clients[1].peer, "from the first\n", 15);
	check_receives(clients[2].peer, "from the first\nSECOND ONE\n", 26);
}

/* valgrind reports what is not freed. */
TEST_WITH_CLIENTS(a_tail_goes_with_its_connection, BOTH)
{
	feed(clients, "never ended", 11, pool);
	leave(clients[SENDER], pool);
	CHECK_EQ(passed_on(clients, pool), 0);
	clients[SENDER] = join(pool);
	feed(clients, "afresh\n", 7, pool);
	check_told(clients, "afresh\n", 7, pool);
}

TEST_WITH_CLIENTS(a_line_may_have_any_bytes, BOTH)
{
	char text[257];
	int at;

	for (at = 0; at < 256; at++)
		text[at] = (char)at;
	text[256] = '\n';
	feed(clients, text, 100, pool);
	feed(clients, text + 100, 157, pool);
	check_told(clients, text, 257, pool);
	feed(clients, "\0\0", 2, pool);
	CHECK_EQ(passed_on(clients, pool), 0);
	feed(clients, "\0\n", 2, pool);
	check_told(clients, "\0\0\0\n", 4, pool);
}

static void check_refused(int sd, const char *buffer, int len, int error, conn_pool_t *pool)
{
	struct snapshot before = take_snapshot(pool);

	CHECK_FAILS(chat_feed(sd, buffer, len, pool), error);
	CHECK(is_unchanged(&before, pool));
}

TEST_WITH_CLIENTS(errors_change_nothing, BOTH)
{
	struct client stranger = connect_client();

	CHECK_FAILS(chat_feed(clients[SENDER].sd, "x", 1, NULL), EINVAL);
	feed(clients, "kept", 4, pool);
	check_refused(clients[SENDER].sd, "x\n", -1, EINVAL, pool);
	check_refused(clients[SENDER].sd, "x\n", INT_MIN, EINVAL, pool);
	check_refused(clients[SENDER].sd, NULL, 2, EINVAL, pool);
	check_refused(stranger.sd, "x\n", 2, ENOENT, pool);
	check_refused(stranger.sd, NULL, 0, ENOENT, pool);
	check_refused(-1, "x\n", 2, ENOENT, pool);
	check_refused(FD_SETSIZE, "x\n", 2, ENOENT, pool);
	feed(clients, "\n", 1, pool);
	check_told(clients, "kept\n", 5, pool);
	close(stranger.sd);
	close(stranger.peer);
}

TEST_WITH_CLIENTS(exactly_len_bytes_are_looked_at_and_none_is_changed, BOTH)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	char *pages = mmap(NULL, size * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
	                   0);

	CHECK(pages != MAP_FAILED);
	memcpy(pages + size - 8, "one\ntwo\n", 8);
	CHECK_EQ(mprotect(pages, size, PROT_READ), 0);
	CHECK_EQ(mprotect(pages + size, size, PROT_NONE), 0);
	feed(clients, pages + size - 8, 6, pool);
	feed(clients, pages + size - 2, 2, pool);
	feed(clients, pages + size - 3, 3, pool);
	feed(clients, pages + size, 0, pool);
	check_refused(clients[SENDER].sd, pages + size, -1, EINVAL, pool);
	check_told(clients, "one\ntwo\nwo\n", 11, pool);
	munmap(pages, size * 2);
}

/* Feeds a line of `size` bytes, newline included, in pieces of `step`. No more is kept than
 * allowed, and no line that fits is passed on early. */
static void check_long_line(size_t size, size_t step)
{
	char *line = malloc(size);
	struct client clients[BOTH];
	conn_pool_t pool;
	size_t at, given;

	fill(line, size, 0);
	for (at = 0; at < size; at++)
		line[at] = line[at] == '\n' ? ' ' : line[at];
	line[size - 1] = '\n';
	open_room(clients, BOTH, &pool);
	for (at = 0; at < size; at += given) {
		given = size - at < step ? size - at : step;
		feed(clients, line + at, given, &pool);
		if (at + given < size)
			CHECK_EQ(passed_on(clients, &pool), (at + given) / PIECE * PIECE);
	}
	CHECK_EQ(passed_on(clients, &pool), size);
	check_told(clients, line, size, &pool);
	feed(clients, NULL, 0, &pool);
	CHECK_EQ(passed_on(clients, &pool), 0);
	free(line);
	leave_all(clients, BOTH, &pool);
}

TEST(lines_may_be_longer_than_a_buffer)
{
	static const size_t steps[] = { 1, 100, 4095, 4096, 4097 };
	size_t at;

	for (at = 0; at < sizeof steps / sizeof steps[0]; at++) {
		check_long_line(4095, steps[at]);
		check_long_line(4096, steps[at]);
		check_long_line(4097, steps[at]);
	}
}

TEST(lines_of_64_kib_and_more_go_on_in_pieces)
{
	static const size_t steps[] = { 4096, 5000, 65535, 65536, 65537, 200000, 1000000 };
	size_t at;

	for (at = 0; at < sizeof steps / sizeof steps[0]; at++) {
		check_long_line(65535, steps[at]);
		check_long_line(65536, steps[at]);
		check_long_line(65537, steps[at]);
		check_long_line(1000000, steps[at]);
	}
}

TEST_WITH_CLIENTS(a_long_line_and_the_tail_behind_it_are_not_one_line, BOTH)
{
	enum { KEPT = PIECE - 1000, TAIL = 2000 };
	char bytes[KEPT + 1 + TAIL];

	memset(bytes, 'x', sizeof bytes);
	bytes[KEPT] = '\n';
	feed(clients, bytes, KEPT, pool);
	feed(clients, bytes + KEPT, 1 + TAIL, pool);
	CHECK_EQ(passed_on(clients, pool), KEPT + 1);
}

TEST_WITH_CLIENTS(a_long_line_without_an_end_is_delivered_at_the_end_of_the_file, BOTH)
{
	enum { SIZE = PIECE + 1000 };
	char *line = malloc(SIZE);

	memset(line, 'x', SIZE);
	feed(clients, line, SIZE, pool);
	CHECK_EQ(passed_on(clients, pool), PIECE);
	feed(clients, NULL, 0, pool);
	CHECK_EQ(passed_on(clients, pool), SIZE);
	check_told(clients, line, SIZE, pool);
	free(line);
}
