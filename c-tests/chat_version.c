/* chat_version: the version as text. */

#include "chatServerExt.h"
#include "check.h"

TEST(version_is_three_numbers)
{
	int major, minor, patch, length = 0;

	CHECK_EQ(sscanf(chat_version(), "%d.%d.%d%n", &major, &minor, &patch, &length), 3);
	CHECK_EQ(chat_version()[length], '\0');
}
