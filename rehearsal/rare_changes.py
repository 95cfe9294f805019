"""What seldom happens to a workspace: channels go, contacts merge, rows are dated ahead or late.

Every function changes the world at its present instant, marks the records that now look
different, and returns the ids it touched.
"""

from datetime import timedelta

from rehearsal.changes import Which, delete_conversations, pick
from rehearsal.ids import SECOND
from rehearsal.timelines import TimelineWriter
from rehearsal.world import World


def delete_channels(world: World, which: Which) -> list[str]:
    """Channels vanish with their conversations and timelines."""
    deleted = pick(world, world.channels, which)
    for channel_id in deleted:
        delete_conversations(world, list(world.by_channel[channel_id]))
        del world.channels[channel_id], world.by_channel[channel_id]
        world.mark_deleted("channels", channel_id)
    world.changed(*deleted)
    return deleted


def move_conversations(world: World, which: Which, channel_id: str) -> list[str]:
    """Conversations belong to another channel from now on; no activity shows it."""
    moved = pick(world, world.conversations, which)
    for conversation_id in moved:
        talk = world.conversations[conversation_id]
        del world.by_channel[talk.channel.id][conversation_id]
        talk.channel = world.channels[channel_id]
        world.add_conversation(talk)
        world.changed(conversation_id, *(event.id for event in talk.events))
    return moved


def merge_contacts(world: World, winner_id: str, loser_id: str) -> list[str]:
    """One contact takes over another's notes, history and conversations, ids kept; that one goes.

    The winner's ``lastModificationTime`` moves, no conversation's activity does.
    """
    winner, loser = world.contacts[winner_id], world.contacts.pop(loser_id)
    winner.notes += loser.notes
    winner.history += loser.history
    winner.history.sort(key=lambda row: row.created)
    winner.modified = world.now
    world.mark_deleted("contacts", loser_id)
    talks = [talk for talk in world.conversations.values() if talk.contact is loser]
    for talk in talks:
        talk.contact = winner
        world.changed(*(event.id for event in talk.events))
    world.changed(winner_id, loser_id, *(talk.id for talk in talks))
    return [winner_id, *(talk.id for talk in talks)]


def date_ahead(world: World, which: Which, instant: int) -> list[str]:
    """Conversations get an event dated at ``instant`` (microseconds since 1970), made now.

    It is scheduled, or somebody's clock was wrong; the conversation's activity shows that date.
    """
    dated = pick(world, world.conversations, which)
    writer = TimelineWriter(world, world.rng)
    for conversation_id in dated:
        talk = world.conversations[conversation_id]
        event = writer.add(talk, world.now)
        event.at = talk.active = instant
        world.changed(conversation_id, event.id)
    return dated


def deliver_late(world: World, count: int, lag: timedelta) -> list[str]:
    """A backlog arrives as a block: events that happened ``lag`` ago are inserted now."""
    writer = TimelineWriter(world, world.rng)
    happened = world.now - lag // timedelta(microseconds=1)
    added = []
    for number, conversation_id in enumerate(pick(world, world.conversations, count)):
        talk = world.conversations[conversation_id]
        event = writer.add(talk, happened - (count - number) * SECOND)
        event.id = world.guid(world.now - (count - number) * SECOND)
        talk.events.sort(key=lambda one: one.at)
        talk.active = max(one.at for one in talk.events)
        world.changed(conversation_id)
        added.append(event.id)
    return added
