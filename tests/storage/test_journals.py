"""What stands beside the money, on both databases: webhooks, calls, findings, allowances, workers, dead letters."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from app.domain.agreement import Agreement, AgreementStatus
from app.domain.charge import ChargeStatus
from app.domain.errors import Misconfigured, NotFound
from app.domain.operation import OperationKind, OperationStatus
from app.domain.records import Failing, FindingKind
from app.storage.database import SqlStore
from app.storage.secrets import SecretBox
from tests.builders import (
    ACCOUNT_ID,
    NOW,
    OTHER_SHOP,
    SHOP,
    a_call,
    a_charge,
    a_finding,
    a_webhook,
    an_account,
    an_agreement,
    an_inbox_entry,
    an_operation,
)
from tests.conftest import SECRET_KEY

LATER = NOW + timedelta(hours=1)
OTHER_ACCOUNT = "00000000-0000-4000-8000-00000000acc1"


async def test_webhooks_come_back_as_they_were_oldest_first(store: SqlStore) -> None:
    second = a_webhook(created_at=LATER)
    first = a_webhook(retired_at=LATER, secret="blåbær " * 50)
    async with store.begin() as unit:
        for it in (second, first, a_webhook(account_id=OTHER_ACCOUNT), a_webhook(shop=OTHER_SHOP)):
            await unit.webhooks.put(it)
    async with store.begin() as unit:
        assert await unit.webhooks.of_account(SHOP, ACCOUNT_ID) == [first, second]


async def test_a_webhooks_secret_is_sealed_and_can_be_sealed_anew(store: SqlStore) -> None:
    it = a_webhook()
    async with store.begin() as unit:
        await unit.webhooks.put(it)
    async with store.engine.connect() as connection:
        [row] = (await connection.execute(text("SELECT * FROM webhook"))).mappings()
    assert it.secret not in str(dict(row))

    url = store.engine.url.render_as_string(hide_password=False)
    rotated = SqlStore(url, SecretBox(["another key that is longer than thirty-two characters", SECRET_KEY]))
    assert await rotated.reseal_secrets() == 1
    await rotated.close()
    only_new = SqlStore(url, SecretBox(["another key that is longer than thirty-two characters"]))
    async with only_new.begin() as unit:
        assert await unit.webhooks.of_account(SHOP, ACCOUNT_ID) == [it]
    await only_new.close()
    async with store.begin() as unit:
        with pytest.raises(Misconfigured, match="SECRET_KEY"):
            await unit.webhooks.of_account(SHOP, ACCOUNT_ID)


async def test_a_webhook_is_changed_and_removed_by_its_own_shop_only(store: SqlStore) -> None:
    it = a_webhook()
    async with store.begin() as unit:
        await unit.webhooks.put(it)
        await unit.webhooks.put(replace(it, retired_at=LATER))
        await unit.webhooks.remove(OTHER_SHOP, it.id)
    with pytest.raises(NotFound):
        async with store.begin() as unit:
            await unit.webhooks.put(replace(it, shop=OTHER_SHOP))
    async with store.begin() as unit:
        assert await unit.webhooks.of_account(SHOP, ACCOUNT_ID) == [replace(it, retired_at=LATER)]
        await unit.webhooks.remove(SHOP, it.id)
        assert await unit.webhooks.of_account(SHOP, ACCOUNT_ID) == []


async def test_calls_come_back_as_they_were_oldest_first_and_the_newest_of_many(store: SqlStore) -> None:
    calls = [a_call(at=NOW + timedelta(seconds=number), milliseconds=number) for number in range(5)]
    lost = a_call(at=LATER, status=None, answer="", context_id=None, charge_id=None, idempotency_key=None)
    async with store.begin() as unit:
        await unit.calls.add([])
        await unit.calls.add([*calls, lost])
        await unit.calls.add([a_call(shop=OTHER_SHOP), a_call(agreement_id="agr_other"), a_call(agreement_id=None)])
    async with store.begin() as unit:
        assert await unit.calls.of_agreement(SHOP, calls[0].agreement_id or "") == [*calls, lost]
        assert await unit.calls.of_agreement(SHOP, calls[0].agreement_id or "", 2) == [calls[-1], lost]
        assert await unit.calls.of_agreement(OTHER_SHOP, "agr_other") == []


async def test_calls_of_the_same_moment_keep_their_order(store: SqlStore) -> None:
    """Two calls within a clock's tick: the repetition after the first one."""
    calls = [a_call(milliseconds=number) for number in range(4)]
    async with store.begin() as unit:
        await unit.calls.add(calls)
    async with store.begin() as unit:
        assert await unit.calls.of_agreement(SHOP, calls[0].agreement_id or "") == calls


async def test_old_calls_are_forgotten(store: SqlStore) -> None:
    old, new = a_call(at=NOW), a_call(at=LATER)
    async with store.begin() as unit:
        await unit.calls.add([old, new, replace(old, shop=OTHER_SHOP)])
    async with store.begin() as unit:
        assert await unit.calls.prune(LATER) == 2
        assert await unit.calls.prune(LATER) == 0
        assert await unit.calls.of_agreement(SHOP, old.agreement_id or "") == [new]


async def test_findings_are_replaced_as_a_whole_for_their_account_only(store: SqlStore) -> None:
    first = [a_finding(), a_finding(kind=FindingKind.UNREADABLE, charge_id=None, repaired=False, ours="æøå " * 100)]
    others, theirs = a_finding(account_id=OTHER_ACCOUNT), a_finding(shop=OTHER_SHOP)
    async with store.begin() as unit:
        await unit.findings.replace(SHOP, ACCOUNT_ID, first)
        await unit.findings.replace(SHOP, OTHER_ACCOUNT, [others])
        await unit.findings.replace(OTHER_SHOP, ACCOUNT_ID, [theirs])
    async with store.begin() as unit:
        assert await unit.findings.of_shop(SHOP) == [*first, others]
        await unit.findings.replace(SHOP, ACCOUNT_ID, first[1:])
    async with store.begin() as unit:
        await unit.findings.replace(SHOP, OTHER_ACCOUNT, [])
        assert await unit.findings.of_shop(SHOP) == first[1:]
        assert await unit.findings.of_shop(OTHER_SHOP) == [theirs]


async def test_two_comparisons_at_the_same_time_leave_the_findings_of_one(store: SqlStore) -> None:
    account = an_account(id=ACCOUNT_ID)
    async with store.begin() as unit:
        await unit.accounts.put(account)

    async def compare(number: int) -> None:
        async with store.begin() as unit:
            await unit.findings.replace(SHOP, ACCOUNT_ID, [a_finding(ours=str(number)), a_finding(ours=str(number))])
            await asyncio.sleep(0.02)

    await asyncio.gather(*(compare(number) for number in range(4)))
    async with store.begin() as unit:
        found = await unit.findings.of_shop(SHOP)
    assert len(found) == 2
    assert len({it.ours for it in found}) == 1


async def test_an_allowance_is_shared_by_all_who_take_from_it(store: SqlStore) -> None:
    async def take(number: int) -> int:
        async with store.begin() as unit:
            return (await unit.allowances.take("test/1/createCharge", 2, 25, NOW + timedelta(seconds=number))).count

    granted = await asyncio.gather(*(take(number) for number in range(30)))

    assert sum(granted) == 25
    async with store.begin() as unit:
        later = await unit.allowances.take("test/1/createCharge", 100, 25, NOW + timedelta(minutes=2))
        assert later.count == 25
        assert (await unit.allowances.take("test/2/createCharge", 100, 25, NOW)).count == 25


async def test_an_emptied_allowance_stays_so_for_everybody(store: SqlStore) -> None:
    async with store.begin() as unit:
        await unit.allowances.emptied("bucket", NOW, 90.5)
        await unit.allowances.emptied("bucket", NOW, 1.0)
    async with store.begin() as unit:
        refused = await unit.allowances.take("bucket", 1, 500, NOW + timedelta(seconds=60))
        assert (refused.count, refused.wait) == (0, 30.5)
        assert (await unit.allowances.take("bucket", 1, 500, NOW + timedelta(seconds=91))).count == 1
        # Without a word of Vipps' a short pause.
        await unit.allowances.emptied("bucket", NOW + timedelta(seconds=91), None)
        assert (await unit.allowances.take("bucket", 1, 500, NOW + timedelta(seconds=100))).wait == 1.0


async def test_workers_are_counted_while_they_give_signs_of_life(store: SqlStore) -> None:
    async with store.begin() as unit:
        await unit.workers.seen("a", NOW)
        await unit.workers.seen("b", NOW)
        await unit.workers.seen("a", LATER)
        assert await unit.workers.since(NOW) == 2
        assert await unit.workers.since(LATER) == 1
        await unit.workers.gone("a")
        assert await unit.workers.since(LATER) == 0
        await unit.workers.seen("c", NOW + timedelta(days=2))
        assert await unit.workers.since(NOW) == 1


async def test_dead_letters_lie_where_the_work_stands_and_are_told_oldest_first(store: SqlStore) -> None:
    charge = a_charge(dead="given up: timeout", attempts=60, created_at=LATER)
    refund = an_operation(dead="given up: 503", attempts=7, created_at=LATER + timedelta(seconds=1))
    stop = an_operation(
        kind=OperationKind.STOP, charge_id=None, dead="given up", created_at=NOW, agreement_id="agr_1", lock="l"
    )
    webhook = an_inbox_entry(source="vipps", event="recurring.agreement-stopped.v1", received_at=NOW, attempts=200)
    async with store.begin() as unit:
        await unit.charges.add_all([charge, a_charge(), a_charge(shop=OTHER_SHOP, dead="theirs")])
        for it in (refund, stop, an_operation(charge_id="chr-alive")):
            assert await unit.operations.add(it)
        await unit.inbox.add(webhook)
        await unit.inbox.add(an_inbox_entry())
        await unit.inbox.dead(SHOP, webhook.id, LATER, "given up after 200 attempts")
    async with store.begin() as unit:
        letters = await unit.failures.of_shop(SHOP, 10)
        assert {(it.kind, it.what, it.object_id, it.reason) for it in letters} == {
            (Failing.WEBHOOK, "recurring.agreement-stopped.v1", webhook.id, "given up after 200 attempts"),
            (Failing.OPERATION, "STOP", "agr_1", "given up"),
            (Failing.CHARGE, "charge", charge.order_id, "given up: timeout"),
            (Failing.OPERATION, "REFUND", "chr-5kSeqzF", "given up: 503"),
        }
        assert [it.created_at for it in letters] == sorted(it.created_at for it in letters)
        assert {it.id: it.attempts for it in letters}[charge.id] == 60
        assert all(it.shop == SHOP for it in letters)
        assert len(await unit.failures.of_shop(SHOP, 2)) == 2
        assert len(await unit.failures.everywhere(10)) == 5
        assert await unit.failures.count() == 5


async def test_a_dead_letter_is_revived_once_and_by_its_own_shop_only(store: SqlStore) -> None:
    charge, refund = a_charge(dead="x", attempts=60), an_operation(dead="x", attempts=60)
    webhook = an_inbox_entry(attempts=200)
    async with store.begin() as unit:
        await unit.charges.add_all([charge])
        assert await unit.operations.add(refund)
        await unit.inbox.add(webhook)
        await unit.inbox.dead(SHOP, webhook.id, NOW, "x")
    ids = {charge.id: Failing.CHARGE, refund.id: Failing.OPERATION, webhook.id: Failing.WEBHOOK}
    async with store.begin() as unit:
        for name in (*ids, "unknown"):
            assert await unit.failures.revive(OTHER_SHOP, name, LATER) is None
        assert await unit.charges.unsent(LATER, 10) == []
        assert await unit.operations.unfinished(LATER, 10) == []
        assert await unit.inbox.waiting(LATER, 10) == []
    async with store.begin() as unit:
        for name, kind in ids.items():
            assert await unit.failures.revive(SHOP, name, LATER) is kind
            assert await unit.failures.revive(SHOP, name, LATER) is None
        assert await unit.failures.count() == 0
        assert [it.id for it in await unit.charges.unsent(LATER, 10)] == [charge.id]
        assert [it.id for it in await unit.operations.unfinished(LATER, 10)] == [refund.id]
        assert await unit.inbox.waiting(LATER, 10) == [(SHOP, webhook.id)]
    async with store.begin() as unit:
        taken = await unit.charges.claim(SHOP, charge.id, LATER, LATER + timedelta(minutes=1))
        again = await unit.operations.claim(SHOP, refund.id, LATER, LATER + timedelta(minutes=1))
    assert taken is not None
    assert again is not None
    # More than one attempt: whoever takes it up looks before sending.
    assert taken.attempts > 1
    assert again.attempts > 1
    assert taken.idempotency_key == charge.idempotency_key
    assert again.idempotency_key == refund.idempotency_key


async def test_two_people_who_revive_the_same_letter_start_it_once(store: SqlStore) -> None:
    charge = a_charge(dead="x", attempts=60)
    async with store.begin() as unit:
        await unit.charges.add_all([charge])

    async def revive() -> Failing | None:
        async with store.begin() as unit:
            return await unit.failures.revive(SHOP, charge.id, NOW)

    answers = await asyncio.gather(*(revive() for _ in range(4)))
    assert sorted(map(str, answers)) == ["CHARGE", "None", "None", "None"]


async def test_what_was_settled_is_no_dead_letter_any_more(store: SqlStore) -> None:
    """Somebody finished it another way."""
    charge = a_charge(dead="x", status=ChargeStatus.NEW)
    async with store.begin() as unit:
        await unit.charges.add_all([charge])
        await unit.charges.save_all([replace(charge, status=ChargeStatus.CHARGED, dead=None)])
        assert await unit.failures.of_shop(SHOP, 10) == []
        assert await unit.failures.count() == 0


async def test_dead_work_is_not_taken_up_by_itself(store: SqlStore) -> None:
    charge, refund = a_charge(dead="x"), an_operation(dead="x", status=OperationStatus.OPEN)
    async with store.begin() as unit:
        await unit.charges.add_all([charge])
        assert await unit.operations.add(refund)
    until = LATER + timedelta(minutes=1)
    async with store.begin() as unit:
        assert await unit.charges.claim(SHOP, charge.id, LATER, until) is None
        assert await unit.charges.claim_all(SHOP, [charge.id], LATER, until) == []
        assert await unit.charges.unsent(LATER, 10) == []
        assert await unit.operations.claim(SHOP, refund.id, LATER, until) is None
        assert await unit.operations.unfinished(LATER, 10) == []


async def test_a_batch_is_made_of_what_was_never_tried_and_comes_back_in_one_order(store: SqlStore) -> None:
    fresh = [a_charge(order_id=f"order-{9 - number}-x") for number in range(5)]
    tried = a_charge(attempts=1)
    async with store.begin() as unit:
        await unit.charges.add_all([*fresh, tried, a_charge(shop=OTHER_SHOP)])
    async with store.begin() as unit:
        claimed = await unit.charges.claim_all(SHOP, [it.id for it in (*fresh, tried)], NOW, LATER, "batch-1")
        assert {it.id for it in claimed if it.batch_id == "batch-1"} == {it.id for it in fresh}
        assert {it.attempts for it in claimed} == {1, 2}
    async with store.begin() as unit:
        whole = await unit.charges.of_batch(SHOP, "batch-1")
        assert [it.order_id for it in whole] == sorted(it.order_id for it in fresh)
        assert await unit.charges.of_batch(OTHER_SHOP, "batch-1") == []
        assert await unit.charges.claim_all(SHOP, [it.id for it in fresh], NOW, LATER, "batch-2") == []


async def test_what_was_not_made_may_be_sent_on_its_own(store: SqlStore) -> None:
    charge = a_charge(attempts=1, batch_id="batch-1", accepted_at=NOW, next_attempt_at=LATER)
    settled = a_charge(status=ChargeStatus.DUE, accepted_at=NOW)
    async with store.begin() as unit:
        await unit.charges.add_all([charge, settled])
        await unit.charges.not_made(OTHER_SHOP, charge.id, NOW)
        assert await unit.charges.get(SHOP, charge.id) == charge
        await unit.charges.not_made(SHOP, charge.id, NOW)
        await unit.charges.not_made(SHOP, settled.id, NOW)
        after = await unit.charges.get(SHOP, charge.id)
        assert await unit.charges.get(SHOP, settled.id) == settled
    assert after is not None
    assert (after.accepted_at, after.next_attempt_at, after.batch_id) == (None, NOW, "batch-1")


async def test_who_stopped_an_agreement_is_noted_once(store: SqlStore) -> None:
    row = an_agreement(status=AgreementStatus.STOPPED)
    async with store.begin() as unit:
        assert await unit.agreements.add(row)
        assert not await unit.agreements.stopped_by(OTHER_SHOP, row.id, "USER")
        assert await unit.agreements.stopped_by(SHOP, row.id, "USER")
        assert not await unit.agreements.stopped_by(SHOP, row.id, "ADMIN")
        assert await unit.agreements.get(SHOP, row.agreement_id or "") == replace(row, stopped_by="USER")


async def test_one_draft_of_a_sort_at_a_time(store: SqlStore) -> None:
    first = an_agreement(slot="like/1", agreement_id=None, status=AgreementStatus.NEW)
    async with store.begin() as unit:
        assert await unit.agreements.add(first)
        assert not await unit.agreements.add(an_agreement(slot="like/1", agreement_id=None))
        assert await unit.agreements.add(an_agreement(slot="like/1", shop=OTHER_SHOP))
        assert await unit.agreements.by_slot(SHOP, "like/1") == first
        assert await unit.agreements.by_slot(SHOP, "like/2") is None
        await unit.agreements.save(replace(first, slot=None))
        assert await unit.agreements.add(an_agreement(slot="like/1"))


async def test_an_accounts_agreements_are_gone_through_page_by_page(store: SqlStore) -> None:
    rows = [an_agreement() for _ in range(5)]
    statuses = [AgreementStatus.ACTIVE]
    async with store.begin() as unit:
        for it in (
            *rows,
            an_agreement(agreement_id=None),
            an_agreement(status=AgreementStatus.STOPPED),
            an_agreement(account_id=OTHER_ACCOUNT),
            an_agreement(shop=OTHER_SHOP),
        ):
            assert await unit.agreements.add(it)
        found: list[Agreement] = []
        after = ""
        while page := await unit.agreements.of_account_after(SHOP, ACCOUNT_ID, after, statuses, 2):
            assert len(page) <= 2
            found += page
            after = page[-1].id
    assert found == sorted(rows, key=lambda it: it.id)
