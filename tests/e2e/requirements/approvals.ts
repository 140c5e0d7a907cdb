/** Approvals. */
export const AP = {
  'AP-01':
    'A call that needs approval returns its request id and decisions, stores its exact input, and the task waits.',
  'AP-02':
    'An answer to an approval is stored durably with who, when and why, and a refusal resumes nothing as approved.',
  'AP-03': 'After approval the exact approved call runs once, without asking again.',
  'AP-04': 'Pending approvals survive a restart and can be listed, filtered and answered by any process.',
  'AP-05':
    'An approval record carries trace, session, tenant, agent, capability, people, delegation, key, arguments, times and status.',
  'AP-06': 'Approval request, decision and audit records follow the published field contract.',
  'AP-07':
    'An approval leaves pending once, by compare-and-set; a second answer or an unknown id fails with its stable message.',
  'AP-08': 'Answering an approval continues the run by managed resume, bound to the answering person.',
  'AP-09': 'Reviewer role and response time are enforced, and nobody approves their own request.',
  'AP-10':
    'The delegated-authorization settings of approvals are obeyed and agree with the runtime controls.',
  'AP-11': 'One waiting approval never holds up unrelated requests or sibling branches.',
  'AP-12':
    'The approved payload is bound by digest and checked again at execution; a different payload asks anew.',
  'AP-13': 'Approvals expire, and an expired one is never used.',
  'AP-14':
    "The approval message for the model has its fixed form, and a forged one has no effect on the kernel's record.",
  'AP-15': 'An approval without a request id is an error, never a placeholder.',
  'AP-16': 'The run trace shows request, resolution and the tool events that followed.',
  'AP-17':
    'An MCP elicitation answer of accept, decline or cancel approves, rejects or leaves pending, and other clients use the queue.',
  'AP-18': 'A reviewer can approve, reject or annotate in product terms, and the message is kept.',
} as const;
