"""What assessors ask of audit records, control family by control family, and what a pack can show of it.

Families and items are named in words; no clause is cited, because the texts have not been read here
(docs/zh/README.md lists them as to be checked).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from auditor.evidence.facts import Facts
from auditor.evidence.gaps import said
from auditor.evidence.wording import UNSTATED, Both, Voice

RETENTION_DAYS: Final = 180
COVERED, PARTLY, OUTSIDE = "covered", "partly", "outside"
STATUS: Final[Mapping[str, Both]] = {
    COVERED: Both("有证据", "evidence below"),
    PARTLY: Both("部分；其余由运营单位提供", "partly; the rest is the operator's"),
    OUTSIDE: Both("本产品未涵盖", "not covered by this product"),
}
Values = Callable[[Facts, Voice], dict[str, object]]


def _no_values(_facts: Facts, _voice: Voice) -> dict[str, object]:
    return {}


@dataclass(frozen=True, slots=True)
class Item:
    """One control: what is asked, how far it is covered, what shows it."""

    asked: Both
    status: str
    evidence: Both
    values: Values = _no_values


@dataclass(frozen=True, slots=True)
class Family:
    """A family of controls."""

    title: Both
    items: tuple[Item, ...]


def _sizes(facts: Facts, _voice: Voice) -> dict[str, object]:
    return {
        "entries": sum(row.number for row in facts.entries_of_year),
        "size": facts.end.size,
        "types": len(facts.entries_of_year),
        "cosigned": len(facts.end.cosignatures),
        "quorum": facts.end.quorum,
        "rosters": len(facts.rosters),
        "revoked": sum(row.is_of_year for row in facts.revocations),
        "changes": len(facts.key_changes),
        "schools": len(facts.schools),
        "auditors": len({row.auditor for row in facts.terms if not row.until_roster}),
        "rounds": len(facts.rounds),
        "refused": sum(len(row.excluded) for row in facts.rounds),
        "passed": sum(row.outcome == "PASS" for row in facts.verification.checks),
        "checks": len(facts.verification.checks),
        "visits": len(facts.visits),
        "replays": sum(row.is_of_year for row in facts.replays),
        "days": RETENTION_DAYS,
    }


def _span(facts: Facts, voice: Voice) -> dict[str, object]:
    days = span_days(facts)
    known = Both(
        "两端检查点的联署时间相隔 %(span)s 天", "the cosignatures at its two ends lie %(span)s days apart"
    )
    unknown = Both("没有年初留存的检查点，无法计算", "no kept checkpoint, so it cannot be computed")
    span = voice.say(known, span=days) if days else voice.say(unknown)
    stated = said(facts).get("log_days") or voice.say(UNSTATED)
    return {**_sizes(facts, voice), "span": span, "stated": stated}


def span_days(facts: Facts) -> int:
    """Give the whole days between the cosignatures at both ends of the year; 0 if one end is unknown."""
    if not facts.start.cosignatures or not facts.end.cosignatures:
        return 0
    first, last = (
        min(datetime.fromisoformat(row.time) for row in head.cosignatures)
        for head in (facts.start, facts.end)
    )
    return max((last - first).days, 0)


def _caps(facts: Facts, voice: Voice) -> dict[str, object]:
    return {
        "most": voice.listed(
            [f"{row.school_year} ρ {row.spent_decimal} / {row.cap_decimal}" for row in facts.accounts]
        )
    }


FAMILIES: Final[tuple[Family, ...]] = (
    Family(
        Both("身份鉴别", "Identity"),
        (
            Item(
                Both("登录和操作者的身份标识唯一", "Every actor has one identity of its own"),
                COVERED,
                Both(
                    "每所学校、每家审计方、县级各有自己的签名密钥，名册载明，同一公钥不重复；现有学校 "
                    "%(schools)s 所、审计方 %(auditors)s 家，"
                    "历次名册 %(rosters)s 份。",
                    "Schools, auditors and the county each sign with a key of their own that the roster "
                    "names; no "
                    "key occurs twice. Now %(schools)s schools and %(auditors)s auditors; %(rosters)s "
                    "rosters so far.",
                ),
                _sizes,
            ),
            Item(
                Both("鉴别信息的更换", "Credentials are renewed"),
                COVERED,
                Both(
                    "密钥更换须由旧密钥签名指定，本日志共有 %(changes)s 次，列于附录。",
                    "A key is followed only by one that it names itself; %(changes)s changes stand in "
                    "this log (annex).",
                ),
                _sizes,
            ),
            Item(
                Both("页面登录口令、登录失败处理、双因素", "Passphrases, failed log-ins, second factor"),
                PARTLY,
                Both(
                    "县级页面的账号和操作流水在县级服务上，不在本日志内；请另附页面流水。",
                    "Accounts and the journal of the county's pages are on the county's service, not in "
                    "this log; "
                    "enclose that journal.",
                ),
            ),
        ),
    ),
    Family(
        Both("访问控制", "Access control"),
        (
            Item(
                Both("按角色授权，最小权限", "Roles and least privilege"),
                COVERED,
                Both(
                    "每类声明只认规定的签名方，其余一律不入日志；学校只能报送本校，打开合计须有多家审计方。",
                    "Each type of statement counts only with the signatures of those whose duty it is, "
                    "else it never "
                    "enters the log; a school reports for itself only; a sum is opened by several auditors.",
                ),
            ),
            Item(
                Both("权限收回", "Rights are withdrawn"),
                COVERED,
                Both(
                    "本年度除名 %(revoked)s 次，带原因入日志。",
                    "%(revoked)s revocations this year, each with its reason.",
                ),
                _sizes,
            ),
            Item(
                Both("系统、安全、审计管理员分设", "System, security and audit administrators are separate"),
                PARTLY,
                Both(
                    "县级页面强制分设，账号清单在县级服务上，请另附。",
                    "The county's pages enforce it; the list of accounts is on the county's service, "
                    "enclose it.",
                ),
            ),
        ),
    ),
    Family(
        Both("安全审计", "Audit"),
        (
            Item(
                Both("审计覆盖每个参与方和重要事件", "Everybody and every important event is recorded"),
                COVERED,
                Both(
                    "方案、批准、报送、核对、截止、表决、开封、发布、更正、名册、除名均为日志条目；"
                    "本年度 %(entries)s 条，%(types)s 类。",
                    "Plans, approvals, reports, checks, closes, votes, openings, releases, corrections, "
                    "rosters and "
                    "revocations are entries: %(entries)s this year, of %(types)s types.",
                ),
                _sizes,
            ),
            Item(
                Both(
                    "记录含时间、主体、客体、类型、结果",
                    "Time, subject, object, type and result are recorded",
                ),
                PARTLY,
                Both(
                    "主体＝签名方，客体＝轮次或报送的摘要，类型＝声明类型，结果＝声明内容，均由签名保证。"
                    "时间：条目本身不带时间，先后由日志位置确定，时刻以检查点联署时间和方案收集期界定。",
                    "Subject: who signs. Object: the digest of a round or report. Type: the statement's. "
                    "Result: what "
                    "it says. All are signed. Time: entries carry none; their order is the log's, and "
                    "times of "
                    "cosignatures and the plans' windows bound them.",
                ),
            ),
            Item(
                Both("审计记录受保护，不被删改", "Records cannot be changed or deleted unnoticed"),
                COVERED,
                Both(
                    "日志为只增的散列树；最新检查点有 %(cosigned)s 家联署（须 %(quorum)s 家），"
                    "各联署人存有全部副本。",
                    "The log is an append-only hash tree; its newest checkpoint has %(cosigned)s "
                    "cosignatures "
                    "(%(quorum)s needed), and each witness keeps a whole copy.",
                ),
                _sizes,
            ),
            Item(
                Both("审计记录留存不少于 180 日", "Records are kept for 180 days or more"),
                PARTLY,
                Both(
                    "软件不提供删除日志的功能；%(span)s。留存天数（由人填写）：%(stated)s。页面流水、"
                    "操作系统日志由运营单位留存。",
                    "The product has no way to delete the log; %(span)s. Days stated by people: "
                    "%(stated)s. The pages' "
                    "journal and the operating systems' logs are the operator's.",
                ),
                _span,
            ),
            Item(
                Both("审计记录可分析、可核验", "Records can be analysed and verified"),
                COVERED,
                Both(
                    "离线核验 %(checks)s 项，通过 %(passed)s 项，逐项结果见附录。",
                    "%(checks)s checks offline, %(passed)s passed; each stands in the annex.",
                ),
                _sizes,
            ),
        ),
    ),
    Family(
        Both("数据完整性", "Integrity"),
        (
            Item(
                Both("传输中的完整性", "In transit"),
                COVERED,
                Both(
                    "报送由学校签名，摘要入日志；连接为双向证书认证的加密连接。本年度因不符被拒收的报送 "
                    "%(refused)s 份。",
                    "Reports are signed by the school and their digests stand in the log; connections "
                    "are encrypted, "
                    "with certificates on both sides. Reports refused this year: %(refused)s.",
                ),
                _sizes,
            ),
            Item(
                Both("存储中的完整性", "At rest"),
                COVERED,
                Both(
                    "任何一条日志、任何一份结果文件的改动都使核验失败。",
                    "A change to any entry of the log or any file of results makes the verification fail.",
                ),
            ),
        ),
    ),
    Family(
        Both("数据保密性", "Confidentiality"),
        (
            Item(
                Both("传输和存储保密", "In transit and at rest"),
                PARTLY,
                Both(
                    "学校记录加密存放；离开学校的只有加噪声、加掩码的报送。算法为国际通用算法，没有采用 "
                    "SM2、SM3、SM4，"
                    "尚未满足商用密码应用安全性评估（密评）要求。",
                    "Records are encrypted at the school; all that leaves it are reports with noise and "
                    "masks. The "
                    "algorithms are international ones, not SM2, SM3, SM4: the assessment of commercial "
                    "cryptography "
                    "(密评) is not met.",
                ),
            ),
            Item(
                Both("密码产品经认证", "Certified cryptographic products"),
                OUTSIDE,
                Both("没有经认证的密码模块。", "There is no certified module."),
            ),
        ),
    ),
    Family(
        Both("数据备份恢复", "Backup and recovery"),
        (
            Item(
                Both("异地备份", "Copies elsewhere"),
                PARTLY,
                Both(
                    "日志的全部副本在 %(auditors)s 家审计方各有一份，由各自机构保管。"
                    "县级数据库和学校记录的备份由运营单位证明。",
                    "Each of %(auditors)s auditors keeps a whole copy of the log at its own institution. "
                    "Backups of "
                    "the county's database and of schools' records are for their operators to show.",
                ),
                _sizes,
            ),
            Item(
                Both("恢复测试", "Recovery is tested"),
                OUTSIDE,
                Both(
                    "本日志不含恢复演练的记录，请另附。",
                    "This log has no record of recovery drills; enclose them.",
                ),
            ),
        ),
    ),
    Family(
        Both("剩余信息与个人信息保护", "Residual and personal information"),
        (
            Item(
                Both("仅采集和保存必需的个人信息", "Only what is needed is collected"),
                COVERED,
                Both(
                    "日志和县级均无学生个人信息；每名学生每学年的额度：%(most)s（已用最高值 / 上限）。",
                    "Neither the log nor the county holds a pupil's information; a pupil's account by "
                    "school year: "
                    "%(most)s (highest spent / cap).",
                ),
                _caps,
            ),
            Item(
                Both("禁止未授权访问和使用", "No unauthorised access or use"),
                PARTLY,
                Both(
                    "存放记录的进程没有网络；现场重算 %(replays)s 次、现场核查 %(visits)s 次可佐证。"
                    "学校电脑和平台内部由运营单位证明。",
                    "The process with the records has no network; %(replays)s replays and %(visits)s "
                    "visits support "
                    "it. What happens inside schools' computers and platforms is for their operators to "
                    "show.",
                ),
                _sizes,
            ),
            Item(
                Both("剩余信息清除", "Residual information is erased"),
                PARTLY,
                Both(
                    "轮次密钥用后销毁；学校记录到期经审计归档后删除。删除证明和备份清除由运营单位提供。",
                    "Round keys are destroyed after use; schools' records are deleted when their time is "
                    "over and the "
                    "audit is filed. Certificates of deletion and the erasure of backups are the operator's.",
                ),
            ),
        ),
    ),
    Family(
        Both("其余控制族", "Other families"),
        tuple(
            Item(words, OUTSIDE, Both("由运营单位提供。", "For the operator to show."))
            for words in (
                Both(
                    "物理环境、网络架构、边界防护", "Physical environment, network architecture, boundaries"
                ),
                Both(
                    "主机入侵防范、恶意代码防范、可信验证",
                    "Host intrusion, malicious code, trusted verification",
                ),
                Both(
                    "安全管理制度、机构、人员、建设、运维",
                    "Management: rules, organisation, people, building, operation",
                ),
            )
        ),
    ),
)
